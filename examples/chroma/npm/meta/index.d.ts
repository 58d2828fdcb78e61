/** The folder of the package that holds this platform's binaries. */
export const folder: string;
/** The shared library. */
export const library: string;
/** The static library, position-independent. */
export const staticLibrary: string;
/** The program that says which chroma this is. */
export const program: string;
