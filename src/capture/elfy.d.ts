declare module "elfy" {
  interface ElfSection {
    name: string;
    type: string;
    off: number;
    size: number;
    link: number;
  }
  interface ElfProgram {
    type: string;
    offset: number;
    vaddr: number;
    filesz: number;
  }
  interface ElfImage {
    body: { sections: ElfSection[]; programs: ElfProgram[] };
  }
  const elfy: { parse(file: Buffer): ElfImage };
  export default elfy;
}
