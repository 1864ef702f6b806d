import type { ConnectionInput } from "./connection.ts";
import { underHome } from "./connection-layers.ts";
import { openText } from "./file-content.ts";
import { isExposed } from "./password-file.ts";
import { type Resolved, subjectOf } from "./resolve.ts";
import { Secret } from "./secret.ts";
import type { TlsConfig, TlsMode } from "./tls.ts";

/** The TLS of a server by its host, in a mode of its own or in that of the connection. */
export type TlsReader = (mode: TlsMode | undefined, host: string) => TlsConfig;

interface Pem {
  readonly text: string;
  readonly path: string;
}

/** Reads the certificates once and gives each server its TLS. A socket is never encrypted, as in libpq. */
export function tlsReader(input: ConnectionInput): TlsReader {
  const { resolution, places } = input;
  const connectionMode = resolution.get("connection.tls.mode")!.value as TlsMode;
  const ca = pemOf(
    input,
    "connection.tls.caFile",
    underHome(places.homeDirectory, ".postgresql", "root.crt"),
    "CERTIFICATE",
  );
  const cert = pemOf(input, "connection.tls.certFile", undefined, "CERTIFICATE");
  const key = pemOf(input, "connection.tls.keyFile", undefined, "PRIVATE KEY");
  reportPair(input);
  const caIsGiven = resolution.get("connection.tls.caFile")!.isGiven && ca !== undefined;
  return (own, host) => {
    const wanted = own ?? connectionMode;
    const mode = host.startsWith("/") || host.startsWith("@") ? "disable" : wanted;
    // libpq, for the sake of old clients: `require` verifies when a root certificate is named.
    const verifies = mode === "verify-full" || mode === "verify-ca" || (mode === "require" && caIsGiven);
    const encrypts = mode !== "disable";
    return {
      mode,
      rejectUnauthorized: verifies,
      checkServerName: mode === "verify-full",
      serverName: encrypts ? host : undefined,
      ca: verifies ? ca?.text : undefined,
      caFile: verifies ? ca?.path : undefined,
      cert: encrypts ? cert?.text : undefined,
      certFile: encrypts ? cert?.path : undefined,
      key: encrypts && key !== undefined ? new Secret(key.text) : undefined,
      keyFile: encrypts ? key?.path : undefined,
    };
  };
}

function pemOf(input: ConnectionInput, key: string, standard: string | undefined, label: string): Pem | undefined {
  const resolved = input.resolution.get(key)!;
  const given = resolved.value as string | undefined;
  if (given === "system") return undefined;
  const path = given ?? standard;
  if (path === undefined) return undefined;
  const file = openText(input.places.readFile, path, input.places.cwd);
  if ("wrong" in file) {
    if (given !== undefined) refuse(input, resolved, file.wrong, `a file with ${label}`);
    return undefined;
  }
  if (!new RegExp(`-----BEGIN [A-Z0-9 ]*${label}-----`).test(file.text)) {
    if (given !== undefined) refuse(input, resolved, `names a file without a PEM ${label}`, `a PEM file with ${label}`);
    return undefined;
  }
  if (label === "PRIVATE KEY" && isExposed(file.mode)) {
    input.warnings.push({
      id: "CONFIG-KEY-FILE",
      severity: "warn",
      title: `others may read the key file ${file.path}`,
      subject: file.path,
      hint: "Make it readable by its owner only; libpq refuses it as it is.",
      command: `chmod 0600 ${file.path}`,
    });
  }
  return { text: file.text, path: file.path };
}

function reportPair(input: ConnectionInput): void {
  const cert = input.resolution.get("connection.tls.certFile")!;
  const key = input.resolution.get("connection.tls.keyFile")!;
  if (cert.isGiven === key.isGiven) return;
  const [given, missing] = cert.isGiven ? [cert, key] : [key, cert];
  const wanted = missing.setting.variables[0]!.name;
  refuse(input, given, `needs ${wanted}: a certificate and its key belong together`, `${wanted} beside it`);
}

function refuse(input: ConnectionInput, resolved: Resolved, wrong: string, expected: string): void {
  const subject = subjectOf(resolved);
  const { example } = resolved.setting;
  input.problems.add({ ...subject, expected, example, message: `${subject.variable} ${wrong}` });
}
