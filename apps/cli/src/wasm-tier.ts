import { setFlagsFromString } from "node:v8";

/**
 * Keeps V8 from compiling WebAssembly a second time, to faster code: a command parses for less time than that takes,
 * and the process cannot end before the compiler has. Must run before the SQL parser is loaded.
 * @see https://v8.dev/docs/wasm-compilation-pipeline
 */
export function compileWasmOnce(): void {
  setFlagsFromString("--no-wasm-tier-up");
  setFlagsFromString("--no-wasm-dynamic-tiering");
}
