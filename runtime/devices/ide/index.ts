export { AtaDisk } from "./ata-disk.ts";
export { AtapiCdRom } from "./atapi-cdrom.ts";
export type { Activity } from "./drive.ts";
export { type Geometry, guessGeometry, type Translation } from "./geometry.ts";
export { type IdeDriveName, type IdeDriveOptions, idePorts, Piix3Ide, type Piix3IdeOptions } from "./piix3-ide.ts";
