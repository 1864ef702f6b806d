import { formatDuration } from "@db/core";
import type { JSX } from "preact";
import { Actions } from "./action.tsx";
import { Code } from "./cell.tsx";
import { Badge } from "./icon.tsx";
import type { LockNode } from "./page-view.ts";

/** Who holds up whom: under each session those that wait for it. */
export function LockTree({ nodes }: { readonly nodes: readonly LockNode[] }): JSX.Element {
  return (
    <ul class="tree">
      {nodes.map((node) => (
        <Branch key={node.pid} node={node} root />
      ))}
    </ul>
  );
}

function Branch({ node, root = false }: { readonly node: LockNode; readonly root?: boolean }): JSX.Element {
  const seconds = (value: number | null): string => (value === null ? "unknown" : formatDuration(value * 1_000));
  const long = (node.waitSeconds ?? 0) >= 30;
  return (
    <li>
      <div class={`lock ${root ? "lock-root tone-bad" : `tone-${long ? "bad" : "warn"}`}`}>
        <p class="lock-head">
          {root ? (
            <Badge tone="bad">{`holds up ${held(node)}`}</Badge>
          ) : (
            <Badge tone={long ? "bad" : "warn"}>{`waits ${seconds(node.waitSeconds)}`}</Badge>
          )}
          <b>pid {node.pid}</b>
          <span>{node.who}</span>
          <span class="muted">
            {node.state}
            {node.transactionSeconds !== null && `, transaction open for ${seconds(node.transactionSeconds)}`}
          </span>
          <Actions actions={node.actions} />
        </p>
        {node.awaits !== null && <p class="muted">wants {node.awaits}</p>}
        <p class="lock-query">
          <Code text={node.query} />
        </p>
      </div>
      {node.blocks.length > 0 && (
        <ul>
          {node.blocks.map((each) => (
            <Branch key={each.pid} node={each} />
          ))}
        </ul>
      )}
    </li>
  );
}

function held({ blocks }: LockNode): number {
  return blocks.reduce((sum, each) => sum + 1 + held(each), 0);
}
