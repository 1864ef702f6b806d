import type { DemonstrationQuery } from "@db/orchestrator";

/** What the learning platform asks most; the schema has an index for none of these. */
export const demonstrationQueries: readonly DemonstrationQuery[] = [
  {
    name: "student attempts",
    sql: `select quiz_id, score, attempted_at
  from quiz_attempts
 where student_id = $1
 order by attempted_at desc
 limit 20`,
    values: [17],
    why: "The start page: how the last quizzes went.",
  },
  {
    name: "lesson completion",
    sql: `select count(*) as started, count(completed_at) as completed
  from lesson_progress
 where lesson_id = $1`,
    values: [8],
    why: "The teacher's page: how many finished a lesson.",
  },
];
