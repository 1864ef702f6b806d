import {
  addressName,
  copyRow,
  createRandom,
  type Dataset,
  type DatasetOptions,
  dayOf,
  type GeneratedTable,
  instantText,
  personName,
  pickFaultPositions,
  resolveDatasetOptions,
} from "@db/example-datagen";
import { type FaultId, faults } from "./fault.ts";

const subjects: readonly (readonly [subject: string, topics: readonly string[]])[] = [
  ["Mathematics", ["Fractions", "Linear equations", "Probability", "Vectors", "Statistics"]],
  ["Biology", ["The cell", "Photosynthesis", "Genetics", "Ecosystems"]],
  ["Programming", ["Variables and types", "Loops", "Recursion", "SQL joins", "Testing"]],
  ["Kiswahili", ["Ngeli za nomino", "Methali", "Ushairi", "Insha"]],
  ["History", ["Trade on the Swahili coast", "The railway", "Independence", "Devolution"]],
];
const openedOn = dayOf("2024-01-08");
const days = 700;
const lessonsPerCourse = 15;

/**
 * Courses, students and what they did: about 20,000 rows at scale 1, the same bytes for the same seed.
 * @throws {InvalidDatasetOptionError}
 */
export function learningDataset(options: DatasetOptions = {}): Dataset {
  const chosen = resolveDatasetOptions(options);
  const { seed, scale } = chosen;
  const courses = 60;
  const lessons = courses * lessonsPerCourse;
  const students = Math.max(40, Math.round(1_500 * scale));
  const visitsEach = 8;
  const attempts = Math.max(60, Math.round(6_000 * scale));
  const positions = (id: FaultId, total: number): ReadonlySet<number> => pickFaultPositions(faults, id, chosen, total);
  const tables: GeneratedTable[] = [
    {
      name: "courses",
      columns: ["id", "title", "subject", "is_published", "settings", "created_at"],
      rows: courses,
      *lines() {
        const random = createRandom(seed, "courses");
        for (let id = 1; id <= courses; id++) {
          const [subject, topics] = subjects[id % subjects.length]!;
          const settings = {
            level: random.pick(["beginner", "intermediate", "advanced"]),
            language: random.pick(["en", "sw"]),
          };
          const at = (openedOn - random.below(300)) * 86_400;
          const title = `${subject} ${Math.ceil(id / subjects.length)}: ${random.pick(topics)}`;
          yield copyRow([id, title, subject, random.chance(0.9), JSON.stringify(settings), instantText(at)]);
        }
      },
    },
    {
      name: "lessons",
      columns: ["id", "course_id", "position", "title", "content", "minutes"],
      rows: lessons,
      *lines() {
        const random = createRandom(seed, "lessons");
        const gaps = positions("gap-in-lessons", courses);
        for (let id = 1; id <= lessons; id++) {
          const course = Math.ceil(id / lessonsPerCourse);
          const position = ((id - 1) % lessonsPerCourse) + 1;
          const skipped = position === lessonsPerCourse && gaps.has(course - 1) ? 1 : 0;
          const topic = random.pick(subjects[course % subjects.length]![1]);
          const content = `Read, then try it yourself.\n\n${topic}: step ${position} of ${lessonsPerCourse}.`.repeat(3);
          yield copyRow([id, course, position + skipped, topic, content, random.between(5, 45)]);
        }
      },
    },
    {
      name: "students",
      columns: ["id", "email", "name", "is_active", "created_at"],
      rows: students,
      *lines() {
        const random = createRandom(seed, "students");
        const shouting = positions("email-in-upper-case", students);
        for (let id = 1; id <= students; id++) {
          const name = personName(random);
          const email = `${addressName(name)}${id}@students.example.edu`;
          const at = (openedOn + Math.floor((id * days) / students / 2)) * 86_400 + random.below(86_400);
          yield copyRow([
            id,
            shouting.has(id - 1) ? email.toUpperCase() : email,
            name,
            random.chance(0.85),
            instantText(at),
          ]);
        }
      },
    },
    {
      name: "lesson_progress",
      columns: ["student_id", "lesson_id", "started_at", "completed_at"],
      rows: students * visitsEach,
      *lines() {
        const random = createRandom(seed, "progress");
        const backwards = positions("completed-before-started", students * visitsEach);
        for (let student = 1; student <= students; student++) {
          // One after the other through a course that many take.
          const first = random.skewed(courses - 1, 2) * lessonsPerCourse;
          let at = (openedOn + days / 2 + random.below(days / 2)) * 86_400;
          for (let visit = 0; visit < visitsEach; visit++) {
            const fault = backwards.has((student - 1) * visitsEach + visit);
            const seconds = random.between(200, 5_000);
            const done = fault ? at - seconds : random.chance(0.8) ? at + seconds : null;
            yield copyRow([student, first + visit + 1, instantText(at), done === null ? null : instantText(done)]);
            at += random.between(6_000, 250_000);
          }
        }
      },
    },
    {
      name: "quizzes",
      columns: ["id", "lesson_id", "title", "max_score"],
      rows: lessons / 3,
      *lines() {
        for (let id = 1; id <= lessons / 3; id++) yield copyRow([id, id * 3, `Check ${((id - 1) % 5) + 1}`, 10]);
      },
    },
    {
      name: "quiz_attempts",
      columns: ["id", "quiz_id", "student_id", "score", "attempted_at"],
      rows: attempts,
      *lines() {
        const random = createRandom(seed, "attempts");
        const lost = positions("attempt-without-student", attempts);
        const tooHigh = positions("score-above-maximum", attempts);
        for (let id = 1; id <= attempts; id++) {
          const student = random.below(students) + 1 + (lost.has(id - 1) ? students : 0);
          const score = tooHigh.has(id - 1) ? random.between(11, 20) : 10 - random.skewed(11, 2);
          const at = (openedOn + days / 2) * 86_400 + Math.floor((id / attempts) * (days / 2) * 86_400);
          yield copyRow([id, random.skewed(lessons / 3, 2) + 1, student, score, instantText(at)]);
        }
      },
    },
  ];
  return { application: "learning-assistant", version: 1, seed, scale, tables };
}
