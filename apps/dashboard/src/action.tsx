import type { JSX } from "preact";
import type { ActionLink } from "./page-view.ts";

/** Buttons for what may be asked of the server; they need scripts, and are hidden without them. */
export function Actions({ actions }: { readonly actions: readonly ActionLink[] }): JSX.Element | null {
  if (actions.length === 0) return null;
  return (
    <span class="actions">
      {actions.map((action) => (
        <button
          type="button"
          class="act"
          key={action.path}
          data-path={action.path}
          data-args={JSON.stringify(action.args)}
          data-asks={action.asks && JSON.stringify(action.asks)}
          aria-label={action.about}
        >
          {action.label}
        </button>
      ))}
    </span>
  );
}
