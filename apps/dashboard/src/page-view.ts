import type { Finding, HealthStatus } from "@db/core";
import type { Chart, StatusView } from "./view.ts";

/** Every page, in the order in which an on-call engineer needs them. */
export const pages: readonly PageEntry[] = [
  { name: "status", path: "", title: "Status", about: "what is wrong, worst first, and the command that mends it" },
  { name: "queries", path: "queries", title: "Queries", about: "where the time of the server goes, by statement" },
  { name: "load", path: "load", title: "Load", about: "what active sessions do or wait for, against the processors" },
  { name: "connections", path: "connections", title: "Connections", about: "the pool of this process over the server" },
  { name: "locks", path: "locks", title: "Locks", about: "who waits for whom, now" },
  {
    name: "throughput",
    path: "throughput",
    title: "Throughput",
    about: "transactions, rows, and how long statements take",
  },
  { name: "replication", path: "replication", title: "Replication", about: "standbys, slots, WAL and its archive" },
  { name: "tables", path: "tables", title: "Tables", about: "size, dead rows, vacuum and the way to a freeze" },
  { name: "indexes", path: "indexes", title: "Indexes", about: "missing, unused, duplicate and invalid" },
  { name: "storage", path: "storage", title: "Storage", about: "growth, days left, cache and I/O" },
  { name: "backups", path: "backups", title: "Backups", about: "what can be restored, and the proof" },
  { name: "migrations", path: "migrations", title: "Migrations", about: "what was changed when, and what is pending" },
  { name: "quality", path: "quality", title: "Data quality", about: "rules that the data keeps or breaks" },
];

export type PageName =
  | "status"
  | "queries"
  | "load"
  | "connections"
  | "locks"
  | "throughput"
  | "replication"
  | "tables"
  | "indexes"
  | "storage"
  | "backups"
  | "migrations"
  | "quality";

/** A page as the navigation knows it. */
export interface PageEntry {
  readonly name: PageName;
  /** Below the first page; empty for that one. */
  readonly path: string;
  readonly title: string;
  /** What it answers, in a line. */
  readonly about: string;
}

/** How far back charts go. */
export const ranges: readonly { readonly name: RangeName; readonly ms: number; readonly title: string }[] = [
  { name: "15min", ms: 15 * 60_000, title: "15 minutes" },
  { name: "1h", ms: 3_600_000, title: "1 hour" },
  { name: "6h", ms: 6 * 3_600_000, title: "6 hours" },
  { name: "24h", ms: 24 * 3_600_000, title: "24 hours" },
  { name: "7d", ms: 7 * 24 * 3_600_000, title: "7 days" },
];

export type RangeName = "15min" | "1h" | "6h" | "24h" | "7d";

/** One page as data: the server makes it, the browser draws it again with every update. Plain JSON. */
export interface PageView {
  readonly head: HeadView;
  /** The first page has a shape of its own. */
  readonly status?: StatusView;
  readonly parts: readonly Part[];
}

/** What stands above every page. */
export interface HeadView {
  readonly page: PageName;
  /** A statement, on its own page. */
  readonly item?: string;
  readonly range: RangeName;
  readonly title: string;
  readonly environment: string;
  readonly readOnly: boolean;
  readonly status: HealthStatus;
  readonly critical: number;
  readonly warnings: number;
  /** Sessions that wait for a lock. */
  readonly blocked: number;
  readonly asOf: string;
  readonly ageSeconds: number;
  /** Who is signed in by a cookie; `null` where there is nobody to sign out. */
  readonly signedInAs: string | null;
}

/** One card. What it has is drawn in this order. */
export interface Part {
  readonly id: string;
  readonly title: string;
  readonly note?: string;
  readonly wide?: boolean;
  /** Said where there is nothing to show: why, and what to do. */
  readonly empty?: { readonly text: string; readonly command?: string };
  readonly lead?: { readonly tone: Tone; readonly word: string; readonly text: string };
  readonly facts?: readonly Fact[];
  readonly charts?: readonly Chart[];
  readonly nodes?: readonly ServerNode[];
  readonly tree?: readonly LockNode[];
  readonly calendar?: CalendarView;
  readonly table?: TableView;
  readonly statement?: string;
  readonly findings?: readonly Finding[];
  /** A command to run elsewhere. */
  readonly command?: string;
  readonly actions?: readonly ActionLink[];
}

export type Tone = "good" | "info" | "warn" | "bad";

export interface Fact {
  readonly label: string;
  readonly value: string | number | boolean | null;
  readonly kind: CellKind;
  readonly tone?: Tone;
}

/** How a value reads. */
export type CellKind =
  | "text"
  | "code"
  | "count"
  | "id"
  | "bytes"
  | "seconds"
  | "milliseconds"
  | "ratio"
  | "time"
  | "flag"
  | "per second"
  | "days"
  /** A ratio with a bar. */
  | "share"
  /** Points, newest last. */
  | "spark"
  /** A word with a tone: `good:streaming`. */
  | "badge"
  /** An indented node of a plan. */
  | "node";

export type Cell = string | number | boolean | null | readonly (number | null)[];

export interface TableView {
  /** For those who do not see the heading. */
  readonly caption: string;
  readonly columns: readonly { readonly key: string; readonly label: string; readonly kind: CellKind }[];
  readonly rows: readonly TableRow[];
  /** How the rows come sorted; absent where their order means something else. */
  readonly sortedBy?: { readonly key: string; readonly descending: boolean };
}

export interface TableRow {
  readonly key: string;
  readonly cells: Readonly<Record<string, Cell>>;
  readonly href?: string;
  readonly actions?: readonly ActionLink[];
}

/** Something that may be asked of the server by whoever sees it: first its plan, then the deed. */
export interface ActionLink {
  readonly label: string;
  /** For those who hear it without its row: "Cancel session 4711". */
  readonly about: string;
  /** `api/admin/sessions/4711/cancel`. */
  readonly path: string;
  readonly args: Readonly<Record<string, string | number>>;
  /** What the reader is asked before it is planned, by the name of the argument. */
  readonly asks?: readonly ActionQuestion[];
}

/** A line of text, or one of a few choices. */
export interface ActionQuestion {
  readonly name: string;
  readonly label: string;
  readonly choices?: readonly { readonly label: string; readonly value: number }[];
}

/** A session and those that wait for it. */
export interface LockNode {
  readonly pid: number;
  readonly who: string;
  readonly state: string;
  readonly awaits: string | null;
  readonly waitSeconds: number | null;
  readonly transactionSeconds: number | null;
  readonly query: string;
  readonly actions: readonly ActionLink[];
  readonly blocks: readonly LockNode[];
}

/** A server in the strip of the topology. */
export interface ServerNode {
  readonly name: string;
  readonly role: string;
  readonly tone: Tone;
  readonly word: string;
  readonly facts: readonly Fact[];
}

/** Days, oldest first, and what can be restored of each. */
export interface CalendarView {
  readonly days: readonly { readonly date: string; readonly backups: number; readonly verified: boolean }[];
}
