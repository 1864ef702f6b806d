import type { BackfillSettings } from "./backfill-settings.ts";
import { checksumOf } from "./checksum.ts";
import type { MigrationOrigin } from "./adopt/origin.ts";
import {
  type Allowance,
  findForeignDown,
  readAllowance,
  readDirectiveLine,
  readSectionSettings,
  sectionDefaults,
  type SectionSettings,
} from "./directive.ts";
import { excerptOf, type FileProblem, placeOf } from "./file-problem.ts";

/** A stretch of SQL and the UTF-16 index in the file where it begins. */
export interface SqlPiece {
  readonly sql: string;
  readonly offset: number;
  /** Of an online migration. */
  readonly phase?: OnlinePhase;
  readonly backfill?: BackfillSettings;
}

/** The three steps of a migration that old and new application versions live through together. */
export type OnlinePhase = (typeof onlinePhases)[number];

/** In their order. */
export const onlinePhases = ["expand", "backfill", "contract"] as const;

/** The up, down or verify part of a migration. */
export interface MigrationSection {
  readonly settings: SectionSettings;
  /** Parsed one by one: drizzle separates statements that need no semicolon. */
  readonly pieces: readonly SqlPiece[];
  /** File that holds it, and that file's whole text. */
  readonly file: string;
  readonly text: string;
  /** Which part of a program it stands for; absent for SQL. */
  readonly program?: "up" | "down";
}

/** An allowance and where it stands in the file. */
export interface PlacedAllowance extends Allowance {
  readonly index: number;
  readonly line: number;
  /** True above the first section: it then speaks for the whole migration. */
  readonly beforeSection: boolean;
}

/** One migration of a folder, read but not parsed. */
export interface MigrationFile {
  /** The file's stem: `0003_add_email`. Unique in the folder. */
  readonly id: string;
  /** The digits before the name; `R` for a repeatable. */
  readonly version: string;
  readonly name: string;
  /** A repeatable runs after the versioned ones, again whenever its text changes. */
  readonly kind: "versioned" | "repeatable";
  readonly file: string;
  /** Of the up section: editing a down or a verify section leaves it. */
  readonly checksum: string;
  readonly up: MigrationSection;
  readonly down: MigrationSection | null;
  readonly verify: MigrationSection | null;
  /** Takes back an online migration that is not contracted yet; null for all others. */
  readonly cancel: MigrationSection | null;
  /** Whether `up` is made of expand, backfill and contract sections. */
  readonly online: boolean;
  readonly allowances: readonly PlacedAllowance[];
  /** What drizzle's journal and history know this file by; null in a folder of plain SQL. */
  readonly drizzle: { readonly hash: string; readonly when: number } | null;
  /** Whose migration it was, when it was imported; null otherwise. */
  readonly origin: MigrationOrigin | null;
  /** Ids of the migrations it was put together from. */
  readonly squashes: readonly string[];
}

/** The sections of one file's text. */
export interface FileSections {
  readonly up: MigrationSection;
  readonly down: MigrationSection | null;
  readonly verify: MigrationSection | null;
  readonly cancel: MigrationSection | null;
  readonly online: boolean;
  readonly allowances: readonly PlacedAllowance[];
  readonly problems: readonly FileProblem[];
}

interface Marker {
  readonly word: "up" | "down" | "verify" | "cancel" | OnlinePhase;
  readonly settings: SectionSettings;
  readonly lineStart: number;
  readonly bodyStart: number;
}

/** Splits a file at its `-- migrate:` lines. A file without `migrate:up` is an up section as a whole. */
export function readSections(file: string, text: string): FileSections {
  const problems: FileProblem[] = [];
  const allowances: PlacedAllowance[] = [];
  const markers: Marker[] = [];
  const lines = [...linesWith(text, /--[ \t]*migrate/gi)];
  const lone = lines.length === 0 ? -1 : text.search(/\r(?!\n)/);
  if (lone !== -1) problems.push(loneReturnProblem(file, text, lone));
  for (const { line, start, end } of lines) {
    try {
      const directive = readDirectiveLine(line);
      if (directive?.word === "allow") {
        const { line: lineNumber } = placeOf(text, start);
        const beforeSection = markers.length === 0 && /^[ \t]*--[ \t]*migrate:[ \t]*(up|expand)\b/m.test(text);
        allowances.push({ ...readAllowance(directive.rest), index: start, line: lineNumber, beforeSection });
      } else if (directive) {
        const { word } = directive;
        if (word !== "backfill" && markers.some((marker) => marker.word === word)) {
          throw new Error(`a second "migrate:${word}" section`);
        }
        const settings = readSectionSettings(directive.rest, word);
        markers.push({ word, settings, lineStart: start, bodyStart: end });
      }
    } catch (error) {
      problems.push(directiveProblem(file, text, start, (error as Error).message));
    }
  }
  const foreign = markers.length === 0 ? findForeignDown(text) : null;
  if (foreign) problems.push(foreignProblem(file, text, foreign));
  const phases = markers.filter(({ word }) => isPhase(word));
  const misplaced = problems.length === 0 ? misplacedSection(markers, phases) : null;
  if (misplaced) problems.push(directiveProblem(file, text, markers[0]?.lineStart ?? 0, misplaced));
  const section = (word: Marker["word"]): MigrationSection | null => {
    const index = markers.findIndex((marker) => marker.word === word);
    const marker = markers[index];
    if (!marker) return null;
    return { settings: marker.settings, pieces: [pieceOf(marker)], file, text };
  };
  const pieceOf = (marker: Marker): SqlPiece => {
    const end = markers[markers.indexOf(marker) + 1]?.lineStart ?? text.length;
    return { sql: text.slice(marker.bodyStart, end), offset: marker.bodyStart };
  };
  if (phases.length > 0) {
    const up: MigrationSection = {
      settings: { ...(phases[0]?.settings ?? sectionDefaults), transaction: "never" },
      pieces: phases.map((marker) => ({
        ...pieceOf(marker),
        phase: marker.word as OnlinePhase,
        ...(marker.settings.backfill ? { backfill: marker.settings.backfill } : {}),
      })),
      file,
      text,
    };
    const [down, verify, cancel] = [section("down"), section("verify"), section("cancel")];
    return { up, down, verify, cancel, online: true, allowances, problems };
  }
  const whole: MigrationSection = { settings: sectionDefaults, pieces: [{ sql: text, offset: 0 }], file, text };
  const [down, verify, cancel] = [section("down"), section("verify"), section("cancel")];
  return { up: section("up") ?? whole, down, verify, cancel, online: false, allowances, problems };
}

function isPhase(word: Marker["word"]): boolean {
  return (onlinePhases as readonly string[]).includes(word);
}

function misplacedSection(markers: readonly Marker[], phases: readonly Marker[]): string | null {
  if (markers.length === 0) return null;
  const hasUp = markers.some(({ word }) => word === "up");
  if (phases.length === 0) return hasUp ? null : 'a section without "migrate:up" before it';
  if (hasUp) return 'a migration has either "migrate:up" or "migrate:expand", not both';
  const order = phases.map(({ word }) => (onlinePhases as readonly string[]).indexOf(word));
  if (order[0] !== 0) return `"migrate:${phases[0]?.word}" without "migrate:expand" before it`;
  if (order.some((place, index) => index > 0 && place < (order[index - 1] ?? 0))) {
    return "the sections come in the order expand, backfill, contract";
  }
  return null;
}

/** Splits a section at drizzle's `--> statement-breakpoint` marks. */
export function splitAtBreakpoints(section: MigrationSection): MigrationSection {
  const pieces: SqlPiece[] = [];
  for (const piece of section.pieces) {
    let start = 0;
    for (const match of piece.sql.matchAll(/--> statement-breakpoint/g)) {
      pieces.push({ sql: piece.sql.slice(start, match.index), offset: piece.offset + start });
      start = match.index + match[0].length;
    }
    pieces.push({ sql: piece.sql.slice(start), offset: piece.offset + start });
  }
  return { ...section, pieces };
}

/** Checksum of a section's SQL, line ends and trailing blanks aside. */
export function sectionChecksum(section: MigrationSection): string {
  return checksumOf(section.pieces.map((piece) => piece.sql).join("\n"));
}

function directiveProblem(file: string, text: string, index: number, message: string): FileProblem {
  const place = placeOf(text, index);
  return {
    code: "MIGRATE-DIRECTIVE",
    file,
    ...place,
    message,
    excerpt: excerptOf(text, place),
    hint: 'Write "-- migrate:up", "-- migrate:down", "-- migrate:verify" or "-- migrate:allow rule reason=…".',
  };
}

function loneReturnProblem(file: string, text: string, index: number): FileProblem {
  return {
    code: "MIGRATE-ENCODING",
    file,
    ...placeOf(text, index),
    message: "a line ends with a carriage return alone, which hides the directives after it",
    excerpt: null,
    hint: "Save the file with LF or CRLF line ends.",
  };
}

function foreignProblem(
  file: string,
  text: string,
  { tool, index }: { readonly tool: string; readonly index: number },
): FileProblem {
  const place = placeOf(text, index);
  return {
    code: "MIGRATE-DIRECTIVE",
    file,
    ...place,
    message: `this marks a section to undo for ${tool}; here it is a comment, and what follows it would run`,
    excerpt: excerptOf(text, place),
    hint: 'Import the folder with "db migrate import", or write "-- migrate:up" and "-- migrate:down".',
  };
}

function* linesWith(text: string, mark: RegExp): Generator<{ line: string; start: number; end: number }> {
  let end = 0;
  for (const { index } of text.matchAll(mark)) {
    if (index < end) continue;
    const start = text.lastIndexOf("\n", index) + 1;
    const newline = text.indexOf("\n", index);
    end = newline === -1 ? text.length : newline + 1;
    yield { line: text.slice(start, newline === -1 ? end : newline), start, end };
  }
}
