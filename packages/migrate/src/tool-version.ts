/** Recorded with every migration: the version of this package that ran it. */
export const toolVersion = "0.1.0";
