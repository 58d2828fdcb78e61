/** The folder that holds chroma.h. */
export const include: string;
