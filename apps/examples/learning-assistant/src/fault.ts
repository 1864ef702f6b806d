import type { Fault } from "@db/example-datagen";

export type FaultId =
  | "attempt-without-student"
  | "score-above-maximum"
  | "completed-before-started"
  | "email-in-upper-case"
  | "gap-in-lessons";

/** Every deliberate fault. The numbers hold for every seed. */
export const faults: readonly Fault<FaultId>[] = [
  { id: "attempt-without-student", table: "quiz_attempts", rows: 21, grows: true, what: "the student does not exist" },
  { id: "score-above-maximum", table: "quiz_attempts", rows: 13, grows: true, what: "more points than there are" },
  { id: "completed-before-started", table: "lesson_progress", rows: 17, grows: true, what: "ended before it began" },
  { id: "email-in-upper-case", table: "students", rows: 6, grows: true, what: "an address with capital letters" },
  { id: "gap-in-lessons", table: "lessons", rows: 3, grows: false, what: "the course's last lesson skips a number" },
];
