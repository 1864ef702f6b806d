import type { Finding } from "@db/core";
import { join } from "node:path";
import { openText, type ReadFile } from "./file-content.ts";
import { type Entry, keyLayer, type Layer, libpqText } from "./layer.ts";
import { parsePostgresUrl } from "./postgres-url.ts";
import { candidatesOf, placeOf, type ProblemList } from "./resolve.ts";
import { readService } from "./service-file.ts";
import { settingOf } from "./settings.ts";
import { suggest } from "./suggestion.ts";
import { keywords, urlParts } from "./url-parts.ts";

/** What is known of the machine, for libpq's default files. */
export interface Places {
  readonly cwd: string | undefined;
  readonly homeDirectory: string | undefined;
  /** libpq's PGSYSCONFDIR. */
  readonly systemDirectory: string | undefined;
  readonly readFile: ReadFile | undefined;
}

export interface ConnectionLayers {
  readonly layers: readonly Layer[];
  /** Parameters of the URL that no setting covers. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly warnings: readonly Finding[];
}

/**
 * Puts the parts of the connection URL beside the variables of its level, and the values of a service below those
 * of its own, so that one rule of precedence holds for every part. A URL or a service is a whole: when one stands
 * on a higher level than the other, the lower one is left out, lest a password go to another server.
 */
export function connectionLayers(layers: readonly Layer[], places: Places, problems: ProblemList): ConnectionLayers {
  const urlSetting = settingOf("connection.url")!;
  const serviceSetting = settingOf("connection.service")!;
  const urlIndex = layers.findIndex((layer) => layer.find(urlSetting).length > 0);
  const serviceIndex = layers.findIndex((layer) => layer.find(serviceSetting).length > 0);
  const useUrl = urlIndex !== -1 && (serviceIndex === -1 || urlIndex <= serviceIndex);
  const useService = serviceIndex !== -1 && (urlIndex === -1 || serviceIndex <= urlIndex);
  const warnings: Finding[] = [];

  const url = useUrl ? layers[urlIndex]!.find(urlSetting).find(isReadable) : undefined;
  const parts = url === undefined ? undefined : urlParts(url);
  warnings.push(...(parts?.warnings ?? []));
  const ofUrl = parts?.entries.get(serviceSetting.key);
  const service = useService ? layers[serviceIndex]!.find(serviceSetting)[0] : ofUrl;
  const serviceAt = useService ? serviceIndex : urlIndex;
  const serviceEntries = service === undefined ? undefined : serviceValues(service, layers, places, problems, warnings);
  if (urlIndex !== -1 && serviceIndex !== -1 && useUrl !== useService) {
    const [beaten, winner] = useUrl ? [serviceIndex, urlIndex] : [urlIndex, serviceIndex];
    warnings.push(leftOut(layers[beaten]!.find(useUrl ? serviceSetting : urlSetting)[0]!, layers[winner]!.level));
  }

  const result: Layer[] = [];
  for (const [index, layer] of layers.entries()) {
    const serviceLayer =
      serviceEntries !== undefined && index === serviceAt ? keyLayer(layer.level, serviceEntries) : undefined;
    // In libpq a service stands above the variables; everywhere else what is written out stands above the service.
    if (serviceLayer !== undefined && layer.level === "libpq") result.push(serviceLayer);
    result.push({
      level: layer.level,
      find: (setting) => {
        const isLeftOut = (!useUrl && setting === urlSetting) || (!useService && setting === serviceSetting);
        const own = isLeftOut ? [] : layer.find(setting);
        const part = index === urlIndex ? parts?.entries.get(setting.key) : undefined;
        return part === undefined ? own : [...own, part];
      },
    });
    if (serviceLayer !== undefined && layer.level !== "libpq") result.push(serviceLayer);
  }
  return { layers: result, parameters: parts?.passedOn ?? new Map(), warnings };
}

function isReadable(entry: Entry): boolean {
  return typeof entry.raw === "string" && "url" in parsePostgresUrl(entry.raw);
}

function leftOut(entry: Entry, winner: string): Finding {
  return {
    id: "CONFIG-CONNECTION-LEFT-OUT",
    severity: "info",
    title: `${entry.name} is not used: the ${winner} level says where the database is`,
    subject: entry.name,
  };
}

function serviceValues(
  service: Entry,
  layers: readonly Layer[],
  places: Places,
  problems: ProblemList,
  warnings: Finding[],
): ReadonlyMap<string, Entry> {
  const name = typeof service.raw === "string" ? service.raw.trim() : "";
  const named = candidatesOf(settingOf("connection.serviceFile")!, layers)[0]?.find(({ isValid }) => isValid);
  const files = [
    named === undefined ? underHome(places.homeDirectory, ".pg_service.conf") : (named.value as string),
    places.systemDirectory === undefined ? undefined : join(places.systemDirectory, "pg_service.conf"),
  ].filter((path) => path !== undefined);

  for (const path of files) {
    const file = openText(places.readFile, path, places.cwd);
    const section = "wrong" in file ? undefined : readService(file.text, name);
    if (section === undefined) continue;
    const entries = new Map<string, Entry>();
    for (const line of section.unreadableLines) {
      const example = "host=db.example.com";
      const message = `${path}:${line} is not an assignment (for example ${example})`;
      problems.add({ variable: service.name, source: `${path}:${line}`, expected: "keyword=value", example, message });
    }
    for (const [keyword, text] of section.values) {
      const target = keywords.get(keyword);
      if (target === undefined || target.key === "connection.service")
        warnings.push(unknownKeyword(path, name, keyword));
      else if (text !== "") {
        const raw = libpqText(text, target.unit);
        entries.set(target.key, {
          name: `service ${name} (${keyword})`,
          raw,
          isText: true,
          unit: target.unit,
          location: path,
        });
      }
    }
    return entries;
  }
  const source = placeOf({
    source: {
      level: "libpq",
      name: service.name,
      ...(service.location === undefined ? {} : { location: service.location }),
    },
  });
  const where = files.join(", ") || "the service files";
  const message = `${service.name} names the service ${JSON.stringify(name)}, which is in none of ${where}`;
  problems.add({ variable: service.name, source, expected: "a service of the service file", example: "app", message });
  return new Map();
}

function unknownKeyword(path: string, service: string, keyword: string): Finding {
  const meant = suggest(keyword, keywords.keys());
  return {
    id: "CONFIG-SERVICE-KEYWORD",
    severity: "warn",
    title: `${keyword} of the service ${service} is ignored`,
    subject: path,
    hint: meant === undefined ? "Nothing here is set by it." : `Did you mean ${meant}?`,
  };
}

/** A file below the home directory, where there is one. */
export function underHome(homeDirectory: string | undefined, ...names: readonly string[]): string | undefined {
  return homeDirectory === undefined ? undefined : join(homeDirectory, ...names);
}
