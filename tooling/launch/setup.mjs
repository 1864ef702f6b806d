// `npm run setup`: installs and builds; starts nothing.
import { fail, prepare } from "./prepare.mjs";

try {
  await prepare({ say: (line) => process.stdout.write(`${line}\n`) });
  process.stdout.write("ready: npm start, npm test, npm run -s db -- --help\n");
} catch (error) {
  fail(error);
}
