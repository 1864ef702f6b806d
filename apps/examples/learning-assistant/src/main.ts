import { runExampleProgram } from "@db/example-runner";
import { learningAssistant } from "./learning-assistant.ts";

await runExampleProgram(learningAssistant);
