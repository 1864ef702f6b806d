import type { ComponentChildren, JSX } from "preact";

/** One part of the page, with a heading that a screen reader can jump to. */
export function Card(props: {
  readonly id: string;
  readonly title: string;
  readonly note?: string;
  readonly wide?: boolean;
  /** The page that tells more of it. */
  readonly href?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <section class={props.wide ? "card wide" : "card"} aria-labelledby={`${props.id}-title`} id={props.id}>
      <header class="card-head">
        <h2 id={`${props.id}-title`}>{props.title}</h2>
        {props.note !== undefined && <span class="muted">{props.note}</span>}
        {props.href !== undefined && (
          <a class="more" href={props.href}>
            More<span class="hidden"> about {props.title}</span>
          </a>
        )}
      </header>
      {props.children}
    </section>
  );
}

/** Name and value pairs. */
export function Facts({
  facts,
}: {
  readonly facts: readonly (readonly [name: string, value: ComponentChildren])[];
}): JSX.Element {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Said where there is nothing to show, and why. */
export function Empty({ children }: { readonly children: ComponentChildren }): JSX.Element {
  return <p class="empty">{children}</p>;
}
