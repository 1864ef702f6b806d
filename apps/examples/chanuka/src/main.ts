import { runExampleProgram } from "@db/example-runner";
import { chanuka } from "./chanuka.ts";

await runExampleProgram(chanuka);
