import type { ValidationRule } from "@db/validate";

/** What must hold for the learning platform. Those that a deliberate fault breaks have the fault's id. */
export const learningValidationRules: readonly ValidationRule[] = [
  {
    id: "attempt-without-student",
    kind: "foreign-key",
    table: "quiz_attempts",
    columns: ["student_id"],
    references: { table: "students", columns: ["id"] },
    description: "an attempt is by a student who exists",
    hint: "Delete the rows of deleted students, then add the foreign key.",
  },
  {
    id: "score-above-maximum",
    kind: "custom-sql",
    table: "quiz_attempts",
    sql: `select a.id from quiz_attempts a join quizzes q on q.id = a.quiz_id where a.score > q.max_score`,
    keys: ["id"],
    description: "a score is at most the quiz's maximum",
    hint: "Score these attempts again.",
  },
  { id: "score-range", kind: "range", table: "quiz_attempts", column: "score", min: 0 },
  {
    id: "completed-before-started",
    kind: "expression",
    table: "lesson_progress",
    expression: "completed_at >= started_at",
    columns: ["completed_at", "started_at"],
    description: "a lesson ends after it began",
    hint: "Look at the clocks of the offline clients.",
  },
  {
    id: "email-in-upper-case",
    kind: "expression",
    table: "students",
    expression: "email = lower(email)",
    columns: ["email"],
    dimension: "validity",
    description: "addresses are stored in lower case",
    hint: "Update them, after looking for two accounts of one student.",
  },
  {
    id: "gap-in-lessons",
    kind: "custom-sql",
    table: "lessons",
    sql: `select course_id from lessons group by course_id having max(position) <> count(*)`,
    keys: ["course_id"],
    description: "the lessons of a course are numbered without a gap",
  },
  {
    id: "course-level",
    kind: "expression",
    table: "courses",
    expression: "settings ->> 'level' in ('beginner', 'intermediate', 'advanced')",
    columns: ["settings"],
    dimension: "validity",
  },
];
