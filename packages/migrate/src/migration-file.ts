import { checksumOf } from "./checksum.ts";
import {
  type Allowance,
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
}

/** The up, down or verify part of a migration. */
export interface MigrationSection {
  readonly settings: SectionSettings;
  /** Parsed one by one: drizzle separates statements that need no semicolon. */
  readonly pieces: readonly SqlPiece[];
  /** File that holds it, and that file's whole text. */
  readonly file: string;
  readonly text: string;
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
  readonly allowances: readonly PlacedAllowance[];
  /** What drizzle's journal and history know this file by; null in a folder of plain SQL. */
  readonly drizzle: { readonly hash: string; readonly when: number } | null;
}

/** The sections of one file's text. */
export interface FileSections {
  readonly up: MigrationSection;
  readonly down: MigrationSection | null;
  readonly verify: MigrationSection | null;
  readonly allowances: readonly PlacedAllowance[];
  readonly problems: readonly FileProblem[];
}

interface Marker {
  readonly word: "up" | "down" | "verify";
  readonly settings: SectionSettings;
  readonly lineStart: number;
  readonly bodyStart: number;
}

/** Splits a file at its `-- migrate:` lines. A file without `migrate:up` is an up section as a whole. */
export function readSections(file: string, text: string): FileSections {
  const problems: FileProblem[] = [];
  const allowances: PlacedAllowance[] = [];
  const markers: Marker[] = [];
  if (text.includes("migrate:")) {
    for (const { line, start, end } of linesOf(text)) {
      if (!line.includes("migrate:")) continue;
      try {
        const directive = readDirectiveLine(line);
        if (directive?.word === "allow") {
          const { line: lineNumber } = placeOf(text, start);
          const beforeSection = markers.length === 0 && /^[ \t]*--[ \t]*migrate:[ \t]*up\b/m.test(text);
          allowances.push({ ...readAllowance(directive.rest), index: start, line: lineNumber, beforeSection });
        } else if (directive) {
          const { word } = directive;
          if (markers.some((marker) => marker.word === word)) throw new Error(`a second "migrate:${word}" section`);
          const settings = readSectionSettings(directive.rest);
          markers.push({ word, settings, lineStart: start, bodyStart: end });
        }
      } catch (error) {
        problems.push(directiveProblem(file, text, start, (error as Error).message));
      }
    }
  }
  const hasUp = markers.some((marker) => marker.word === "up");
  if (markers.length > 0 && !hasUp && problems.length === 0) {
    problems.push(directiveProblem(file, text, markers[0]?.lineStart ?? 0, 'a section without "migrate:up" before it'));
  }
  const section = (word: Marker["word"]): MigrationSection | null => {
    const index = markers.findIndex((marker) => marker.word === word);
    const marker = markers[index];
    if (!marker) return null;
    const end = markers[index + 1]?.lineStart ?? text.length;
    const pieces = [{ sql: text.slice(marker.bodyStart, end), offset: marker.bodyStart }];
    return { settings: marker.settings, pieces, file, text };
  };
  const whole: MigrationSection = { settings: sectionDefaults, pieces: [{ sql: text, offset: 0 }], file, text };
  return { up: section("up") ?? whole, down: section("down"), verify: section("verify"), allowances, problems };
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

function* linesOf(text: string): Generator<{ line: string; start: number; end: number }> {
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline + 1;
    yield { line: text.slice(start, newline === -1 ? end : newline), start, end };
    start = end;
  }
}
