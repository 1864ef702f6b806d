import {
  createBackup,
  createWalReceiver,
  expireBackups,
  localStorage,
  openRepository,
  planExpiration,
  planRestore,
  readCatalog,
  restoreBackup,
  type Storage,
} from "@db/backup";

// Run as a process of its own: does one job and kills itself at the step it is told, counted over every change of the
// storage (before and after it) and, in a restore, over its progress.
interface Order {
  readonly job: "backup" | "receive" | "expire" | "restore" | "replace";
  readonly url: string;
  readonly location: string;
  readonly encryptionKey: string;
  readonly dieAt: number;
  readonly directory: string;
}

const order = JSON.parse(process.argv[2]!) as Order;
let steps = 0;

function step(): void {
  steps++;
  if (steps === order.dieAt) process.kill(process.pid, "SIGKILL");
}

function mortal(storage: Storage): Storage {
  return {
    ...storage,
    create: async (key, options) => {
      const writer = await storage.create(key, options);
      step();
      return {
        ...writer,
        commit: async () => {
          step();
          await writer.commit();
          step();
        },
      };
    },
    remove: async (key) => {
      step();
      await storage.remove(key);
      step();
    },
  };
}

const { url, encryptionKey, directory } = order;
const repository = await openRepository(mortal(localStorage(order.location)), { encryptionKey });
if (order.job === "backup") await createBackup({ url, repository });
else if (order.job === "expire") {
  const plan = planExpiration(await readCatalog(repository), { keepFull: 1, minVerified: 0 }, Date.now());
  await expireBackups({ repository, plan });
} else if (order.job === "restore" || order.job === "replace") {
  const replace = order.job === "replace";
  const target = replace ? undefined : ({ type: "latest" } as const);
  const plan = await planRestore({ repository, directory, target, replace });
  const confirm = plan.replaces[0]?.directory;
  await restoreBackup({ repository, plan, confirm, onProgress: step, durable: false });
} else {
  const receiver = createWalReceiver({
    url,
    repository,
    slot: "mortal",
    spoolDirectory: directory,
    tailIntervalMs: 50,
  });
  process.on("SIGTERM", () => void receiver.stop());
  await receiver.start();
  process.stdout.write("streaming\n");
  await receiver.ended();
}
process.stdout.write(`done ${steps}\n`);
