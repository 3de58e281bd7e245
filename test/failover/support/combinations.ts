/** Every combination of the listed values: the whole input space of a decision. */
export function* combinations<T extends object>(space: { readonly [Key in keyof T]: readonly T[Key][] }): Generator<T> {
  const keys = Object.keys(space) as (keyof T)[];
  const sizes = keys.map((key) => space[key].length);
  const total = sizes.reduce((product, size) => product * size, 1);
  for (let index = 0; index < total; index += 1) {
    let rest = index;
    const one: Partial<T> = {};
    keys.forEach((key, at) => {
      const size = sizes[at] ?? 1;
      one[key] = space[key][rest % size];
      rest = Math.floor(rest / size);
    });
    yield one as T;
  }
}
