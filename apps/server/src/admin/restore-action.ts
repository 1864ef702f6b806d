import { join, resolve } from "node:path";
import { formatBytes, formatDuration, isDbError } from "@db/core";
import type { Orchestrator, RestorePlan } from "@db/orchestrator";
import { ActionRefusedError } from "../errors.ts";
import { object, string } from "../route-doc.ts";
import type { ActionArguments, AdminAction, Audited } from "./action.ts";

/**
 * Restoring a backup beside the database: into a new folder below the one that the configuration names. Over a cluster,
 * or anywhere else, only the command line restores.
 */
export function restoreActions({ backups, config }: Orchestrator, audited: Audited): readonly AdminAction[] {
  const { restoreDirectory } = config.backup;
  if (restoreDirectory === undefined) return [];
  const planned = async ({ folder, label, target }: ActionArguments): Promise<RestorePlan> => {
    try {
      return await backups.planRestore({
        directory: join(resolve(restoreDirectory), String(folder)),
        ...(label !== undefined && { label: String(label) }),
        target: targetOf(String(target ?? "latest")),
      });
    } catch (error) {
      // Refusals of the planner are about the backup and the folder, and say so.
      if (isDbError(error)) throw new ActionRefusedError(409, error.message, error.hint);
      throw error;
    }
  };
  return [
    {
      name: "restores.run",
      group: "restores",
      path: "restores",
      scope: "admin",
      summary: "restore a backup into a new folder of the configured one; starts nothing",
      body: object(
        {
          folder: { ...string, pattern: "^[a-z0-9][a-z0-9_-]{0,62}$", description: "Its name; absent or empty" },
          label: {
            ...string,
            pattern: "^[0-9A-Za-z][0-9A-Za-z_-]{0,79}$",
            description: "Default: the newest that leads there",
          },
          target: {
            ...string,
            maxLength: 40,
            description: "`latest` (the default), `immediate`, or an ISO time with its zone",
          },
        },
        ["folder"],
      ),
      async plan(args) {
        const plan = await planned(args);
        const { backup, wal, bytes, predictedMs, losesAfter, findings } = plan;
        return {
          title: `Restore ${backup.label} into the folder ${String(args["folder"])}`,
          facts: [
            `${formatBytes(bytes)} in ${plan.files.toLocaleString("en")} files and ${wal.length} WAL segments, in about ${formatDuration(predictedMs)}.`,
            losesAfter === null
              ? `It holds what was committed up to ${targetText(plan)}.`
              : `It holds what was committed up to ${losesAfter}.`,
            ...(plan.resumes ? ["A restore that was cut short goes on."] : []),
            ...findings.map(({ title }) => title),
            "The database itself is not touched; no server is started.",
          ],
          sql: [],
          identity: { label: backup.label, target: plan.target, timeline: plan.timeline, resumes: plan.resumes },
        };
      },
      execute: (args, run) =>
        audited(run, async () => {
          const { label, files, bytes, durationMs } = await backups.restore(await planned(args), {
            signal: run.signal,
            onProgress: run.onProgress,
          });
          return { folder: args["folder"], label, files, bytes, durationMs };
        }),
    },
  ];
}

function targetOf(word: string): RestorePlan["target"] {
  return word === "latest" || word === "immediate" ? { type: word } : { type: "time", time: word };
}

function targetText({ target }: RestorePlan): string {
  return target.type === "time" ? target.time : "the end of the backup";
}
