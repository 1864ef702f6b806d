import type { IndexPack } from "@db/indexer";

/** The indexes the learning platform's pages want. */
export const learningIndexPack: IndexPack = {
  name: "learning-assistant",
  description: "Progress, attempts and course search",
  indexes: [
    {
      name: "quiz_attempts_student_id_attempted_at_idx",
      table: "quiz_attempts",
      keys: [{ column: "student_id" }, { column: "attempted_at" }],
      why: "Lists a student's latest attempts; the only index there begins with the quiz.",
    },
    {
      name: "lesson_progress_lesson_id_idx",
      table: "lesson_progress",
      keys: [{ column: "lesson_id" }],
      include: ["completed_at"],
      why: "Counts who finished a lesson without reading the table.",
    },
    {
      name: "quizzes_lesson_id_idx",
      table: "quizzes",
      keys: [{ column: "lesson_id" }],
      why: "Finds a lesson's quiz, and lets a lesson be deleted without reading every quiz.",
    },
  ],
};
