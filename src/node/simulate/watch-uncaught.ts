/** Hears of what nobody caught in this thread, in place of the thread's end. Gives the function that ends this. */
export function watchUncaught(caught: (error: unknown) => void): () => void {
  const names = ['uncaughtException', 'unhandledRejection'] as const;
  for (const name of names) process.on(name, caught);
  return () => {
    for (const name of names) process.off(name, caught);
  };
}
