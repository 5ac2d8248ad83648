/*
 * Records every executed block and memory access of the guest, from the arm marker to the finish
 * marker. It decides nothing: what a record means is worked out by src/capture/convert.ts.
 *
 * Needs a single-threaded emulator (-accel tcg,thread=single): one vcpu runs at a time, so that the
 * records of all vcpus stand in one order and one instruction counter serves them all.
 *
 * In a user-mode emulator it records one program, from its first instruction to its last, as one task
 * and one invocation. Each thread is a vcpu there and they run at the same time: only vcpu 0, the first
 * thread, is recorded.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "program.h"
#include "qemu_api.h"
#include "raw.h"

EXPORT int qemu_plugin_version = 1;

/* nopl disp32(%rax); the low byte of the displacement is the operation. */
static const uint8_t marker_head[3] = {0x0f, 0x1f, 0x80};
static const uint8_t marker_tail[3] = {'s', 'u', 'm'};
enum { MARK_ARM = 1, MARK_BEGIN = 2, MARK_END = 3, MARK_FINISH = 4, MARK_NAMED = 0x20 };

static struct task_layout layout;
static const char *output;
static bool system_mode;
static bool armed;

static uint64_t executed; /* instructions, counted inline */
static uint64_t executed_before;
static uint32_t blocks;

/* User mode: threads started so far. From the second on, every thread translates blocks, and records of
 * that and of the first thread's work must not mix. */
static unsigned threads;
static pthread_mutex_t records = PTHREAD_MUTEX_INITIALIZER;

static void lock_records(void)
{
    if (threads > 1) pthread_mutex_lock(&records);
}

static void unlock_records(void)
{
    if (threads > 1) pthread_mutex_unlock(&records);
}

enum { MAX_VCPUS = 64 };
static unsigned record_vcpu;
static uint32_t running_block[MAX_VCPUS];
/* The task that each vcpu runs, and the address space: a kernel thread goes on in the one it finds. */
static struct {
    uint64_t address, physical;
    struct task task;
} running[MAX_VCPUS];
static uint64_t space[MAX_VCPUS];
static bool in_kernel[MAX_VCPUS];

/* Names of files whose first use by the guest is said, and where the kernel reads such names. */
enum { MAX_NAMES = 4 };
static const char *names[MAX_NAMES];
static unsigned name_count;
static uint64_t reads_names_from, reads_names_to;

/* What was last said of each page: direct-mapped, a collision only repeats a MAP record. */
enum { MAPPINGS = 1 << 16 };
static struct {
    uint64_t space, vpn, page;
} mapping[MAPPINGS];

/* ---- while the guest runs ---- */

static void say_task(unsigned vcpu);

/* A task that has got another program (exec) has another address space, and no switch tells of it. */
static void check_task(unsigned vcpu)
{
    struct task task;
    if (running[vcpu].address == 0 || !guest_task(running[vcpu].physical, &layout, &task)) return;
    if (task.mm == running[vcpu].task.mm || task.mm == 0) return;
    space[vcpu] = task.mm;
    running[vcpu].task = task;
    if (armed) say_task(vcpu);
}

#define USER_BLOCK (1ull << 32)

static void on_block(unsigned vcpu, void *data)
{
    uint32_t block = (uint32_t)(uintptr_t)data;
    if (!system_mode && vcpu != 0) return;
    if (system_mode) {
        bool user = ((uintptr_t)data & USER_BLOCK) != 0;
        if (user && in_kernel[vcpu]) check_task(vcpu);
        in_kernel[vcpu] = !user;
    }
    uint64_t done = executed - executed_before;
    executed_before = executed;
    running_block[vcpu] = block;
    if (!armed) return;
    record_vcpu = vcpu;
    lock_records();
    raw_word((uint64_t)RAW_EXEC << 62 | (uint64_t)vcpu << 56 | (done & 0xffff) << 40 | block);
    unlock_records();
}

/* Counts where the inline counter, which all threads would share, cannot. */
static void on_instruction(unsigned vcpu, void *data)
{
    (void)data;
    if (vcpu == 0) executed++;
}

static void say_mapping(qemu_plugin_meminfo_t info, unsigned vcpu, uint64_t vaddr)
{
    uint64_t vpn = (vaddr & 0xffffffffffffull) >> 12;
    struct qemu_plugin_hwaddr *haddr = qemu_plugin_get_hwaddr(info, vaddr);
    if (haddr == NULL) return;
    uint64_t page = qemu_plugin_hwaddr_phys_addr(haddr) >> 12;
    if (qemu_plugin_hwaddr_is_io(haddr)) page |= 1ull << 63;
    uint64_t mm = vpn >> 35 ? 0 : space[vcpu];
    size_t at = (size_t)((vpn ^ vpn >> 16 ^ mm >> 6) % MAPPINGS);
    if (mapping[at].vpn == vpn && mapping[at].space == mm && mapping[at].page == page) return;
    mapping[at].vpn = vpn;
    mapping[at].space = mm;
    mapping[at].page = page;
    raw_control(RAW_MAP, vcpu, vpn);
    raw_word(page);
}

static void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
    if (!armed || (!system_mode && vcpu != 0)) return;
    uint64_t index = (uintptr_t)data & 1023;
    /* An access to a device aborts the block and repeats the instruction in a block of its own, of
     * which only the accesses are reported. */
    if ((uint32_t)((uintptr_t)data >> 10) != running_block[vcpu]) index = RAW_LAST_INSN;
    if (vcpu != record_vcpu) {
        record_vcpu = vcpu;
        raw_control(RAW_CORE, vcpu, 0);
    }
    if (system_mode) say_mapping(info, vcpu, vaddr);
    lock_records();
    raw_word((uint64_t)RAW_MEM << 62 | index << 52 | (uint64_t)qemu_plugin_mem_is_store(info) << 51 |
             (uint64_t)qemu_plugin_mem_size_shift(info) << 48 | (vaddr & 0xffffffffffffull));
    unlock_records();
}

static void say_task(unsigned vcpu)
{
    const struct task *task = &running[vcpu].task;
    raw_control(RAW_SWITCH, vcpu, running[vcpu].address);
    raw_word(task->mm);
    raw_word((uint64_t)task->tgid << 32 | task->pid);
    raw_word(task->comm[0]);
    raw_word(task->comm[1]);
}

/* `mov rsp, disp(%rsi)` of __switch_to_asm: reads a field of the next task. */
static uint32_t stack_field;

static void on_switch(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
    struct qemu_plugin_hwaddr *haddr = qemu_plugin_get_hwaddr(info, vaddr);
    struct task task;
    if (haddr != NULL && guest_task(qemu_plugin_hwaddr_phys_addr(haddr) - stack_field, &layout, &task)) {
        if (task.mm != 0) space[vcpu] = task.mm;
        running[vcpu].address = vaddr - stack_field;
        running[vcpu].physical = qemu_plugin_hwaddr_phys_addr(haddr) - stack_field;
        running[vcpu].task = task;
        if (armed) say_task(vcpu);
    }
    on_access(vcpu, info, vaddr, data);
}

/* The kernel reads a name that the program gave it. */
static void on_name(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
    struct qemu_plugin_hwaddr *haddr;
    on_access(vcpu, info, vaddr, data);
    if (!armed || vaddr >> 47 != 0 || qemu_plugin_mem_is_store(info)) return;
    haddr = qemu_plugin_get_hwaddr(info, vaddr);
    if (haddr == NULL) return;
    for (unsigned i = 0; i < name_count; i++) {
        if (!guest_text_is(qemu_plugin_hwaddr_phys_addr(haddr), names[i])) continue;
        raw_control(RAW_MARK, vcpu, MARK_NAMED);
        return;
    }
}

static void finish(void)
{
    if (!armed) return;
    armed = false;
    if (!system_mode) raw_control(RAW_MARK, 0, MARK_END);
    raw_control(RAW_END, 0, 0);
    raw_word(executed - executed_before);
    raw_close();
    if (!system_mode) program_write_maps(output, threads);
}

static void on_marker(unsigned vcpu, void *data)
{
    unsigned op = (unsigned)(uintptr_t)data;
    if (op == MARK_ARM) {
        armed = true;
        for (unsigned i = 0; i < MAX_VCPUS; i++) {
            if (running[i].address != 0) say_task(i);
        }
    }
    if (!armed) return;
    raw_control(RAW_MARK, vcpu, op);
    if (op == MARK_FINISH) finish();
}

/* ---- when the emulator translates a block ---- */

static uint32_t physical_page(const struct qemu_plugin_insn *insn)
{
    if (!system_mode) return RAW_UNKNOWN_PAGE;
    uint64_t physical = guest_physical(qemu_plugin_insn_haddr(insn));
    return physical == UINT64_MAX ? RAW_UNKNOWN_PAGE : (uint32_t)(physical >> 12);
}

static void describe(const struct qemu_plugin_tb *tb, uint32_t block, size_t n)
{
    static uint8_t text[512 * 16 + 8]; /* the emulator's blocks hold at most 512 instructions */
    size_t bytes = n;
    uint64_t vaddr = qemu_plugin_tb_vaddr(tb);
    uint32_t page = RAW_UNKNOWN_PAGE, page2 = RAW_UNKNOWN_PAGE;
    for (size_t i = 0; i < n; i++) {
        const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        size_t size = qemu_plugin_insn_size(insn);
        text[i] = (uint8_t)size;
        memcpy(text + bytes, qemu_plugin_insn_data(insn), size);
        bytes += size;
        if (i == 0) page = physical_page(insn);
        if (qemu_plugin_insn_vaddr(insn) >> 12 != vaddr >> 12) page2 = physical_page(insn);
    }
    raw_control(RAW_BLOCK, 0, block);
    raw_word(vaddr);
    raw_word((uint64_t)page2 << 32 | page);
    raw_word((uint64_t)(bytes - n) << 32 | n);
    memset(text + bytes, 0, 8);
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        raw_word(word);
    }
}

static bool is_marker(const uint8_t *code, size_t size)
{
    return size == 7 && memcmp(code, marker_head, 3) == 0 && memcmp(code + 4, marker_tail, 3) == 0;
}

/* mov %rsp, disp32(%rdi); mov disp32(%rsi), %rsp with one displacement */
static bool is_switch(const uint8_t *code, size_t size, const uint8_t *before, size_t size_before)
{
    static const uint8_t store[3] = {0x48, 0x89, 0xa7}, load[3] = {0x48, 0x8b, 0xa6};
    return size == 7 && size_before == 7 && memcmp(before, store, 3) == 0 && memcmp(code, load, 3) == 0 &&
           memcmp(before + 3, code + 3, 4) == 0;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    size_t n = qemu_plugin_tb_n_insns(tb);
    const uint8_t *before = NULL;
    size_t size_before = 0;

    if (!system_mode) program_saw(qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0)), qemu_plugin_tb_vaddr(tb));
    lock_records();
    uint32_t block = blocks++;
    describe(tb, block, n);
    unlock_records();
    uint64_t user = qemu_plugin_tb_vaddr(tb) >> 47 == 0 ? USER_BLOCK : 0;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, (void *)(uintptr_t)(user | block));
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *code = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        mem_fn access = on_access;
        if (system_mode && is_switch(code, size, before, size_before)) {
            memcpy(&stack_field, code + 3, 4);
            access = on_switch;
        }
        uint64_t place = qemu_plugin_insn_vaddr(insn);
        if (place >= reads_names_from && place < reads_names_to) access = on_name;
        if (system_mode && is_marker(code, size)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, QEMU_PLUGIN_CB_NO_REGS,
                                                   (void *)(uintptr_t)code[3]);
        }
        if (threads > 1) qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, QEMU_PLUGIN_CB_NO_REGS, NULL);
        else qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &executed, 1);
        /* Exactly one memory callback an instruction: of two, only the first is called. */
        qemu_plugin_register_vcpu_mem_cb(insn, access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                         (void *)((uintptr_t)block << 10 | i));
        before = code;
        size_before = size;
    }
}

/* The emulator translates everything anew when the second thread starts. */
static void on_thread(qemu_plugin_id_t id, unsigned vcpu)
{
    (void)id;
    (void)vcpu;
    threads++;
}

/* A process that the program forks is not recorded. */
static void in_forked(void)
{
    armed = false;
    raw_abandon();
}

static void begin_program(qemu_plugin_id_t id)
{
    running[0].address = 1;
    running[0].task = (struct task){.mm = 1, .pid = 1, .tgid = 1};
    say_task(0);
    raw_control(RAW_MARK, 0, MARK_BEGIN);
    armed = true;
    pthread_atfork(NULL, NULL, in_forked);
    qemu_plugin_register_vcpu_init_cb(id, on_thread);
}

static void on_exit_of_emulator(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    finish();
}

static bool option(const char *arg, const char *name, const char **value)
{
    size_t n = strlen(name);
    if (strncmp(arg, name, n) != 0 || arg[n] != '=') return false;
    *value = arg + n + 1;
    return true;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const char *value;
    for (int i = 0; i < argc; i++) {
        if (option(argv[i], "out", &output)) continue;
        if (option(argv[i], "mm", &value)) layout.mm = (uint32_t)atoi(value);
        else if (option(argv[i], "pid", &value)) layout.pid = (uint32_t)atoi(value);
        else if (option(argv[i], "tgid", &value)) layout.tgid = (uint32_t)atoi(value);
        else if (option(argv[i], "comm", &value)) layout.comm = (uint32_t)atoi(value);
        else if (option(argv[i], "context", &value)) layout.context = (uint32_t)atoi(value);
        else if (option(argv[i], "names-from", &value)) reads_names_from = strtoull(value, NULL, 16);
        else if (option(argv[i], "names-to", &value)) reads_names_to = strtoull(value, NULL, 16);
        else if (option(argv[i], "name", &value) && name_count < MAX_NAMES) names[name_count++] = value;
        else {
            fprintf(stderr, "recorder: unknown option %s\n", argv[i]);
            return -1;
        }
    }
    if (output == NULL) {
        fprintf(stderr, "recorder: no option out=FILE\n");
        return -1;
    }
    system_mode = info->system_emulation;
    if (system_mode && info->system.smp_vcpus > MAX_VCPUS) return -1;
    raw_open(output);
    if (!system_mode) begin_program(id);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_of_emulator, NULL);
    return 0;
}
