/** A command that tells how far it is. */
export interface ProgressCommand {
  readonly command: string;
  readonly view: string;
  /** Columns that say how much is done, and of how much. */
  readonly done: string;
  readonly total: string;
  readonly phase: string;
  readonly help: string;
  readonly since?: number;
}

export const progressCommands: readonly ProgressCommand[] = [
  {
    command: "vacuum",
    view: "pg_stat_progress_vacuum",
    done: "heap_blks_scanned",
    total: "heap_blks_total",
    phase: "phase",
    help: "Part of the table VACUUM has scanned",
  },
  {
    command: "create_index",
    view: "pg_stat_progress_create_index",
    done: "blocks_done",
    total: "blocks_total",
    phase: "phase",
    help: "Part of the present phase of an index build",
  },
  {
    command: "cluster",
    view: "pg_stat_progress_cluster",
    done: "heap_blks_scanned",
    total: "heap_blks_total",
    phase: "phase",
    help: "Part of the table CLUSTER or VACUUM FULL has read",
  },
  {
    command: "analyze",
    view: "pg_stat_progress_analyze",
    done: "sample_blks_scanned",
    total: "sample_blks_total",
    phase: "phase",
    help: "Part of the sample ANALYZE has read",
    since: 13,
  },
  {
    command: "copy",
    view: "pg_stat_progress_copy",
    done: "bytes_processed",
    total: "bytes_total",
    phase: "''",
    help: "Part of the file COPY has processed; 0 while its size is unknown",
    since: 14,
  },
  {
    command: "basebackup",
    view: "pg_stat_progress_basebackup",
    done: "backup_streamed",
    total: "backup_total",
    phase: "phase",
    help: "Part of a base backup that was sent; 0 while its size is unknown",
    since: 13,
  },
];

export function progressCommandsOn(version: number): readonly ProgressCommand[] {
  return progressCommands.filter(({ since }) => (since ?? 12) <= version);
}
