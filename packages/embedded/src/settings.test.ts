import { describe, expect, test } from "vitest";
import { renderSettings } from "./settings.ts";

describe("renderSettings", () => {
  test("writes booleans as on and off, numbers bare and texts quoted", () => {
    expect(renderSettings({ fsync: false, hot_standby: true, port: 5432, log_line_prefix: "%m " })).toBe(
      "fsync = off\nhot_standby = on\nport = 5432\nlog_line_prefix = '%m '\n",
    );
  });

  test("doubles quotes and backslashes", () => {
    expect(renderSettings({ archive_command: "copy 'a' C:\\b" })).toBe("archive_command = 'copy ''a'' C:\\\\b'\n");
  });
});
