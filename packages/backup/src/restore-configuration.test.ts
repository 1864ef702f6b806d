import { expect, test } from "vitest";
import { recoveryConfiguration } from "./restore-configuration.ts";

function configuration(source: string, files = {}) {
  return { settings: [{ name: "max_connections", value: "500", source }], extensions: [], files };
}

test("what recovery needs at least is written only where the restored files do not say it", () => {
  const said = (source: string, main: string, auto = "", files = {}): boolean =>
    recoveryConfiguration(auto, main, configuration(source, files), {}).includes("\nmax_connections = '500'\n");
  expect(said("default", "")).toBe(false);
  expect(said("configuration file", "max_connections = 500\n")).toBe(false);
  expect(said("configuration file", "  max_connections 500   # many\n")).toBe(false);
  expect(said("configuration file", "", "max_connections = '500'")).toBe(false);
  expect(said("configuration file", "#max_connections = 500\n")).toBe(true);
  // In an included file, on the command line, or in files outside the data directory.
  expect(said("configuration file", "include_dir = '/etc/postgresql/conf.d'\nmax_connections = 100\n")).toBe(true);
  expect(said("command line", "max_connections = 100")).toBe(true);
  expect(said("configuration file", "max_connections = 500\n", "", { config_file: "max_connections = 500" })).toBe(
    true,
  );
});
