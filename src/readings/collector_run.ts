// How one part of a reading went.

export interface CollectorRun {
  readonly collector: string;
  readonly success: boolean;
  readonly seconds: number;
}
