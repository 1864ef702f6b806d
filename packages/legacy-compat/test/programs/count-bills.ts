// A script of the platform as a whole program, ended as its guide ends one.
import { BaseDatabaseScript, type ScriptContext, type ScriptResult } from "@db/legacy-compat/chanuka/core";

class CountBills extends BaseDatabaseScript {
  constructor() {
    super("count-bills", "Counts the bills");
  }

  protected override flags() {
    return { hang: { type: "boolean", summary: "never ends" } } as const;
  }

  async execute({ orchestrator, config, logger, options }: ScriptContext): Promise<ScriptResult> {
    if (options.dryRun) return { success: true, message: "would count" };
    await orchestrator.initialize();
    logger.progress(0, 2, "connected");
    const manager = orchestrator.getConnectionManager();
    if (options["hang"] === true) {
      logger.warn("hanging");
      await manager.query("select pg_sleep(600) /* count-bills */", [], false);
    }
    const { rows } = await manager.query("select count(*)::int as bills from bills", [], false);
    logger.success("counted", { bills: rows[0].bills });
    const { database } = config.getConnectionConfig();
    if (rows[0].bills === 0) return { success: false, message: "no bills", warnings: ["empty"] };
    return { success: true, message: `${rows[0].bills} bills`, data: { ...rows[0], database } };
  }
}

process.exitCode = (await new CountBills().run()).exitCode;
