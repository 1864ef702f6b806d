import { runExampleProgram } from "@db/example-runner";
import { unifiedHealthcare } from "./unified-healthcare.ts";

await runExampleProgram(unifiedHealthcare);
