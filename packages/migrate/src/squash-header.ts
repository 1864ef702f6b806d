/** The lines above a squashed file that name what it stands for, so that old databases know it as applied. */
export function squashHeader(ids: readonly string[]): string {
  return `${ids.map((id) => `-- squashes ${id}`).join("\n")}\n`;
}

/** The migrations a file stands for; empty for all others. */
export function readSquashed(text: string): readonly string[] {
  const ids: string[] = [];
  if (!text.startsWith("-- squashes ")) return ids;
  for (const line of text.split(/\r?\n/)) {
    const id = /^-- squashes (.+?)[ \t]*$/.exec(line)?.[1];
    if (id === undefined) break;
    ids.push(id);
  }
  return ids;
}
