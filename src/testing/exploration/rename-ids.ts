const randomId = /(?<![0-9a-z])[0-9a-f]{16,32}(?![0-9a-z])/g;

/** Names random ids by the order of their first appearance, so that two texts are equal which differ in nothing but chance. */
export function renameIds(text: string): string {
  const names = new Map<string, string>();
  return text.replace(randomId, (id) => {
    let name = names.get(id);
    if (name === undefined) {
      name = `#${String(names.size)}`;
      names.set(id, name);
    }
    return name;
  });
}
