/** What the API adds in Node: disk images in files, and guests and firmware from Debian's packages. */
export { type FetchOptions, type FetchProgress, fetchLinuxGuest, GuestFetchError, LINUX_COMMAND_LINE, type LinuxGuest } from "./guest/debian.ts";
export { type DebianBus, type DebianDisk, debianCommandLine, fetchDebianDisk, openKeptDisk } from "./guest/debian-disk.ts";
export { type FirmwareFiles, fetchFirmware } from "./guest/firmware.ts";
export { FileStore, type OpenImageFileOptions, openImageFile } from "./storage/node.ts";
