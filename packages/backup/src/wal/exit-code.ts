/** The file is stored, or brought back. */
export const walDone = 0;
/** What restore_command says when the file is not in the archive: recovery goes on, or ends there. */
export const walNotThere = 1;
/** archive_command failed: the server keeps the file and tries again. 126 and above would end its archiver. */
export const walPushFailed = 2;
/**
 * restore_command failed for any other reason: above 125 the server stops, instead of taking the failure for the end
 * of the WAL and losing everything after it in silence.
 * @see https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-RESTORE-COMMAND
 */
export const walFetchFailed = 255;
