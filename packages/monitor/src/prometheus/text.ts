import type { MetricFamily } from "../family.ts";
import type { Block, MetricTable, Snapshot } from "../snapshot.ts";
import { ByteBuffer, numberText, type RowTexts, sampleBytes } from "./bytes.ts";
import { type Format, header, metricBytes, openMetrics, prometheus } from "./header.ts";
import { escapeLabel, labelText, rowTextsOf } from "./labels.ts";
import { layOut, type Source } from "./layout.ts";
import { fitsPage, type Page, writePage } from "./page.ts";

export interface RenderOptions {
  /** Label that tells the servers apart, `false` for none (only with one server). Default `server`. */
  readonly serverLabel?: string | false;
  /** Only the series of this server, and those of no server. Default all. */
  readonly server?: string;
  /** Only these collectors. Default all. */
  readonly collectors?: readonly string[];
}

export interface WriteOptions extends RenderOptions {
  /** Ends the sink with the last piece, which then needs no packet of its own to say so. Default false. */
  readonly end?: boolean;
}

/** The content type of `renderPrometheus`. */
export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

/** The content type of `renderOpenMetrics`. */
export const openMetricsContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** Where text goes: a response, a file, a `zlib` stream. */
export interface TextSink {
  write(bytes: Uint8Array, done: (error?: Error | null) => void): unknown;
  /** Only for `end`. `done` is told of errors by streams that tell it of any. */
  end?(bytes: Uint8Array, done: (error?: Error | null) => void): unknown;
}

/** A snapshot in Prometheus' text format 0.0.4. */
export function renderPrometheus(snapshot: Snapshot, options: RenderOptions = {}): string {
  return textOf(snapshot, options, prometheus);
}

/**
 * Writes the same text: up to 10,000 values in one piece, more of them through one buffer of 64 kB, so that a large one
 * is never in memory whole. A piece is overwritten once the sink is done with it. The sink is not ended, unless asked to.
 * @throws what the sink gives to `done`
 */
export function writePrometheus(snapshot: Snapshot, sink: TextSink, options: WriteOptions = {}): Promise<void> {
  return writeTo(sink, snapshot, options, prometheus);
}

/**
 * A snapshot in OpenMetrics 1.0. There the family of a counter is its name without `_total`; a counter that older
 * dashboards know without `_total` is given as `unknown`, so that its series keep their names.
 */
export function renderOpenMetrics(snapshot: Snapshot, options: RenderOptions = {}): string {
  return textOf(snapshot, options, openMetrics);
}

/** Writes the same text as `writePrometheus` does. @throws what the sink gives to `done` */
export function writeOpenMetrics(snapshot: Snapshot, sink: TextSink, options: WriteOptions = {}): Promise<void> {
  return writeTo(sink, snapshot, options, openMetrics);
}

const decoder = new TextDecoder();

/** A piece ends with a line, so none cuts a character. */
function textOf(snapshot: Snapshot, options: RenderOptions, format: Format): string {
  const sources = sourcesOf(snapshot, options);
  if (fitsPage(sources)) return decoder.decode(pageOf(snapshot, sources, format).out.written);
  let text = "";
  const pieces = piecesOf(snapshot, sources, format);
  let next = pieces.next();
  for (; !next.done; next = pieces.next()) text += decoder.decode(next.value);
  return text + decoder.decode(next.value);
}

async function writeTo(
  sink: TextSink,
  snapshot: Snapshot,
  { end = false, ...options }: WriteOptions,
  format: Format,
): Promise<void> {
  const write = (bytes: Uint8Array): Promise<void> => told((done) => sink.write(bytes, done));
  const writeLast = (bytes: Uint8Array): Promise<void> =>
    end && sink.end ? told((done) => sink.end?.(bytes, done)) : write(bytes);
  const sources = sourcesOf(snapshot, options);
  if (fitsPage(sources)) {
    const page = pageOf(snapshot, sources, format);
    page.readers += 1;
    try {
      await writeLast(page.out.written);
    } finally {
      page.readers -= 1;
    }
    return;
  }
  // The next piece takes the place of the one before, which therefore must be gone.
  const pieces = piecesOf(snapshot, sources, format);
  let next = pieces.next();
  for (; !next.done; next = pieces.next()) await write(next.value);
  await writeLast(next.value);
}

function told(ask: (done: (error?: Error | null) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    ask((error) => (error ? reject(error) : resolve()));
  });
}

function sourcesOf(snapshot: Snapshot, { serverLabel = "server", server: only, collectors }: RenderOptions): Source[] {
  const sources: Source[] = [];
  const add = (blocks: readonly Block[], prefix: string): void => {
    for (const { collector, tables } of blocks) {
      if (collectors && !collectors.includes(collector)) continue;
      for (const table of tables) sources.push({ prefix, table });
    }
  };
  add(snapshot.blocks, "");
  for (const { name, blocks } of snapshot.servers) {
    if (only !== undefined && only !== name) continue;
    add(blocks, serverLabel === false ? "" : `${serverLabel}="${escapeLabel(name)}"`);
  }
  return sources;
}

/** What another part of the process gives itself replaces what was made from its statistics. */
const namesOf = ({ families }: Snapshot): readonly string[] => families.map(({ name }) => name);

function pageOf(snapshot: Snapshot, sources: readonly Source[], format: Format): Page {
  const page = writePage(sources, namesOf(snapshot), format);
  for (const family of snapshot.families) page.out.text(familyText(family, format));
  page.out.text(format.end);
  return page;
}

/**
 * Labels are the same for every metric of a row, and for as long as a table is shown, so they are written once and used
 * again. By server.
 */
const rowTexts = new WeakMap<MetricTable, Map<string, RowTexts>>();

function keptTextsOf({ prefix, table }: Source): RowTexts {
  const known = rowTexts.get(table) ?? new Map<string, RowTexts>();
  rowTexts.set(table, known);
  let texts = known.get(prefix);
  if (!texts) {
    texts = rowTextsOf(prefix, table);
    known.set(prefix, texts);
  }
  return texts;
}

/** Each piece is overwritten by the next; the last one is returned. */
function* piecesOf(
  snapshot: Snapshot,
  sources: readonly Source[],
  format: Format,
): Generator<Uint8Array, Uint8Array, undefined> {
  const out = new ByteBuffer();
  for (const { families } of layOut(sources, namesOf(snapshot))) {
    for (const { metric, members } of families) {
      const { name, head } = metricBytes(metric, format);
      let isFirst = true;
      for (const { source, column } of members) {
        const { rows } = sources[source]!.table;
        const texts = keptTextsOf(sources[source]!);
        for (let row = 0; row < rows.length; row++) {
          const value = rows[row]!.values[column];
          if (value === null || value === undefined) continue;
          if (isFirst) out.bytes(head);
          isFirst = false;
          if (out.isFullFor(sampleBytes(name, texts, row))) yield out.take();
          out.sample(name, texts, row, value);
        }
      }
    }
  }
  for (const family of snapshot.families) {
    out.text(familyText(family, format));
    yield out.take();
  }
  out.text(format.end);
  return out.take();
}

function familyText(family: MetricFamily, format: Format): string {
  let text = header(family.name, format, family);
  for (const sample of family.samples) {
    const labels = (more: Readonly<Record<string, string>> = {}): string => {
      const all = Object.entries({ ...sample.labels, ...more });
      return labelText(
        "",
        all.map(([name]) => name),
        all.map(([, value]) => value),
      );
    };
    if (!("buckets" in sample)) {
      text += `${family.name}${labels()} ${numberText(sample.value)}\n`;
      continue;
    }
    for (const { le, count } of sample.buckets) text += `${family.name}_bucket${labels({ le: String(le) })} ${count}\n`;
    text += `${family.name}_bucket${labels({ le: "+Inf" })} ${sample.count}\n`;
    text += `${family.name}_sum${labels()} ${numberText(sample.sum)}\n`;
    text += `${family.name}_count${labels()} ${sample.count}\n`;
  }
  return text;
}
