import type { JSX } from "preact";
import { formatInstant, formatShare, formatValue } from "./format.ts";
import { Badge } from "./icon.tsx";
import type { Cell as Value, CellKind, Tone } from "./page-view.ts";

const collapsedLength = 120;

/** Kinds that stand to the left; numbers stand to the right. */
export const leftKinds: ReadonlySet<CellKind> = new Set([
  "text",
  "id",
  "code",
  "badge",
  "node",
  "time",
  "flag",
  "spark",
]);

/** One value, as its kind is shown. */
export function Cell({
  value,
  kind,
  asOf,
}: {
  readonly value: Value;
  readonly kind: CellKind;
  readonly asOf: string;
}): JSX.Element {
  if (Array.isArray(value)) return <Spark points={value as readonly (number | null)[]} />;
  const plain = value as string | number | boolean | null;
  if (plain === null || plain === "") return <span class="muted">–</span>;
  switch (kind) {
    case "code":
      return <Code text={String(plain)} />;
    case "share":
      return <Share ratio={Number(plain)} />;
    case "badge": {
      const [tone, word = ""] = String(plain).split(":");
      return <Badge tone={tone as Tone}>{word}</Badge>;
    }
    case "node": {
      const [depth, node = ""] = String(plain).split(":");
      return (
        <span class={`node depth-${Math.min(12, Number(depth))}`}>
          {Number(depth) > 0 && <span aria-hidden="true">└ </span>}
          {node}
        </span>
      );
    }
    case "time":
      return (
        <time dateTime={String(plain)} title={formatInstant(String(plain))}>
          {formatValue(plain, kind, asOf)}
        </time>
      );
    default:
      return <>{formatValue(plain, kind, asOf)}</>;
  }
}

/** A statement: one line, which opens. */
export function Code({ text }: { readonly text: string }): JSX.Element {
  const flat = text.replace(/\s+/g, " ").trim();
  if (flat.length <= collapsedLength) return <code>{flat}</code>;
  return (
    <details>
      <summary>
        <code>{flat.slice(0, collapsedLength)}…</code>
      </summary>
      <pre>{text.trim()}</pre>
    </details>
  );
}

function Share({ ratio }: { readonly ratio: number }): JSX.Element {
  return (
    <span class="share">
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <rect class="share-track" width="100" height="6" rx="1" />
        <rect class={ratio > 1 ? "share-over" : "share-fill"} width={Math.min(100, ratio * 100)} height="6" rx="1" />
      </svg>
      {formatShare(ratio)}
    </span>
  );
}

const [sparkWidth, sparkHeight] = [90, 20];

function Spark({ points }: { readonly points: readonly (number | null)[] }): JSX.Element {
  const known = points.filter((point) => point !== null);
  if (known.length < 2) return <span class="muted">–</span>;
  const top = Math.max(...known, 1e-9);
  const step = sparkWidth / (points.length - 1);
  const at = points
    .map((point, i) =>
      point === null
        ? undefined
        : `${(i * step).toFixed(1)},${(sparkHeight - 1 - (point / top) * (sparkHeight - 2)).toFixed(1)}`,
    )
    .filter((each) => each !== undefined);
  const half = Math.ceil(known.length / 2);
  const mean = (of: readonly number[]): number => of.reduce((sum, each) => sum + each, 0) / Math.max(1, of.length);
  const [before, after] = [mean(known.slice(0, half)), mean(known.slice(half))];
  const course = after > before * 1.25 ? "rising" : after < before * 0.8 ? "falling" : "steady";
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${sparkWidth} ${sparkHeight}`}
      width={sparkWidth}
      height={sparkHeight}
      role="img"
      aria-label={course}
    >
      <polyline points={at.join(" ")} class="line line-0" />
    </svg>
  );
}
