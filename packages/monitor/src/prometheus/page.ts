import { ByteBuffer, numberText } from "./bytes.ts";
import { type Format, metricText } from "./header.ts";
import { labelText } from "./labels.ts";
import { hasSameLabels, isLike, isSame, layOut, type Run, type Source } from "./layout.ts";

/** A text in memory whole, and where its parts are in it. */
export interface Page {
  readonly out: ByteBuffer;
  /** Where each run begins, and where the last one ends. */
  readonly starts: number[];
  sources: readonly Source[];
  /** Labels of the rows of each source, once one was written. */
  readonly texts: (readonly string[] | undefined)[];
  /** So many are sending it: it must stay as it is. */
  readers: number;
}

/** What texts of one kind have in common from one to the next. */
interface Form {
  readonly format: Format;
  readonly without: readonly string[];
  readonly runs: readonly Run[];
  page: Page;
  spare: Page | undefined;
}

/** Kept for so many kinds: formats times what different scrapers ask for. The one used longest ago goes. */
const mostForms = 4;
const forms: Form[] = [];

/** More values than these are written piece by piece, so that no large text is in memory. */
const mostValues = 10_000;

export function fitsPage(sources: readonly Source[]): boolean {
  let values = 0;
  for (const { table } of sources) values += table.rows.length * table.metrics.length;
  return values <= mostValues;
}

/**
 * Writes a page, without what follows the tables. Most tables are read once a minute or less: what is in the page before
 * of tables that are the same still is copied from there and neither put together nor looked at again.
 */
export function writePage(sources: readonly Source[], without: readonly string[], format: Format): Page {
  const form = formOf(sources, without, format);
  const last = form.page;
  const page = form.spare && form.spare.readers === 0 ? form.spare : newPage();
  const { out, starts, texts } = page;
  out.clear();
  for (let i = 0; i < sources.length; i++) {
    const { table } = sources[i]!;
    const before = last.sources[i]?.table;
    texts[i] = before && (before === table || hasSameLabels(before, table)) ? last.texts[i] : undefined;
  }
  page.sources = sources;
  for (let i = 0; i < form.runs.length; i++) {
    const run = form.runs[i]!;
    starts[i] = out.length;
    if (isUnchanged(run, sources, last)) out.part(last.out, last.starts[i]!, last.starts[i + 1]!);
    else out.text(textOf(run, page, format));
  }
  starts[form.runs.length] = out.length;
  form.spare = last;
  form.page = page;
  return page;
}

function formOf(sources: readonly Source[], without: readonly string[], format: Format): Form {
  const at = forms.findIndex(
    (each) =>
      each.format === format &&
      each.page.sources.length === sources.length &&
      isSame(each.without, without) &&
      sources.every((source, i) => isLike(source, each.page.sources[i]!)),
  );
  const form =
    at === -1
      ? { format, without, runs: layOut(sources, without), page: newPage(), spare: undefined }
      : forms.splice(at, 1)[0]!;
  forms.unshift(form);
  if (forms.length > mostForms) forms.pop();
  return form;
}

function newPage(): Page {
  return { out: new ByteBuffer(), starts: [], sources: [], texts: [], readers: 0 };
}

function isUnchanged({ sources: of }: Run, sources: readonly Source[], { sources: before }: Page): boolean {
  for (const i of of) if (before[i]?.table !== sources[i]!.table) return false;
  return true;
}

/** Few enough lines for strings: what the runtime joins at once is less work than lines copied one by one. */
function textOf({ families }: Run, { sources, texts }: Page, format: Format): string {
  let text = "";
  for (const { metric, members } of families) {
    let isFirst = true;
    for (const { source, column } of members) {
      const { prefix, table } = sources[source]!;
      const { rows, labelNames } = table;
      const labels = (texts[source] ??= rows.map((row) => `${labelText(prefix, labelNames, row.labels)} `));
      for (let row = 0; row < rows.length; row++) {
        const value = rows[row]!.values[column];
        if (value === null || value === undefined) continue;
        if (isFirst) text += metricText(metric, format);
        isFirst = false;
        text += metric + labels[row]! + (Number.isFinite(value) ? value : numberText(value)) + "\n";
      }
    }
  }
  return text;
}
