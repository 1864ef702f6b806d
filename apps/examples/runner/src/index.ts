export { exampleText } from "./example-text.ts";
export { runExampleProgram } from "./program.ts";
export { type ExampleReport, type QueryComparison, runExample, type RunExampleOptions } from "./run-example.ts";
