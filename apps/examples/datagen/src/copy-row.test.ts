import { expect, test } from "vitest";
import { copyRow } from "./copy-row.ts";

test("writes null, booleans and numbers as COPY reads them", () => {
  expect(copyRow([null, true, false, 3, ""])).toBe("\\N\tt\tf\t3\t\n");
});

test("escapes what would end a field or a row, and a backslash", () => {
  expect(copyRow(["a\tb\nc\\N\r", "Gĩthĩnji 👏🏾"])).toBe("a\\tb\\nc\\\\N\\r\tGĩthĩnji 👏🏾\n");
});
