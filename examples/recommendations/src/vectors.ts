// Vectors of one length, as the embedding model gives them.

export type Vector = number[];

/** The cosine of the angle between two vectors: 1 for the same direction. */
export function cosine(a: Vector, b: Vector): number {
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b) || 1);
}

/** `a` moved towards `b` (or, with a negative weight, away from it). Both count by direction only. */
export function moved(a: Vector, b: Vector, weight: number): Vector {
  const left = Math.sqrt(dot(a, a)) || 1;
  const right = Math.sqrt(dot(b, b)) || 1;
  return a.map((value, at) => value / left + (weight * b[at]) / right);
}

function dot(a: Vector, b: Vector): number {
  return a.reduce((sum, value, at) => sum + value * b[at], 0);
}
