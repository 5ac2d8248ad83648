import type { FunctionSpec } from "./functions.js";
import type { ContainerProcess } from "./image/index.js";

/** The capabilities that container engines give by default. */
const CAPABILITIES = [
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "NET_RAW",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
].map((name) => `CAP_${name}`);

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The process of a function that is built here: root, in /app. */
export function processOfFunction(spec: FunctionSpec): ContainerProcess {
  const own = Object.entries(spec.env).map(([name, value]) => `${name}=${value}`);
  const env = [PATH, "HOME=/root", ...own];
  return { args: spec.command, env, cwd: "/app", uid: 0, gid: 0, additionalGids: [] };
}

/** OCI runtime configuration of the function's container: one core only, its own namespaces and network. */
export function bundleConfig(process: ContainerProcess, core: number): object {
  const { args, env, cwd, uid, gid, additionalGids } = process;
  // Only root has capabilities from the start; others can get them by the programs that they run.
  const held = uid === 0 ? CAPABILITIES : [];
  const tmpfs = (destination: string, ...options: string[]) => ({
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options,
  });
  return {
    ociVersion: "1.0.2",
    hostname: "function",
    root: { path: "rootfs", readonly: false },
    process: {
      terminal: false,
      user: { uid, gid, ...(additionalGids.length > 0 ? { additionalGids } : {}) },
      cwd,
      args,
      env,
      capabilities: { bounding: CAPABILITIES, effective: held, permitted: held },
      noNewPrivileges: true,
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
      tmpfs("/dev", "nosuid", "strictatime", "mode=755", "size=65536k"),
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      },
      tmpfs("/dev/shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
      tmpfs("/tmp", "nosuid", "nodev", "mode=1777"),
    ],
    linux: {
      cgroupsPath: "/muswarm/function",
      resources: { cpu: { cpus: String(core) }, devices: [{ allow: false, access: "rwm" }] },
      namespaces: [
        { type: "pid" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        { type: "cgroup" },
        { type: "network", path: "/run/netns/function" },
      ],
    },
  };
}
