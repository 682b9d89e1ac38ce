/* A plugin for QEMU's user mode (plugin interface 1, QEMU 5 to 8): how often every translated block of the guest ran
 * between two marks. It knows no instruction set; what the instructions are is decided by who reads its file.
 *
 *     cc -O2 -shared -fPIC -o block_counter.so block_counter.c
 *     qemu-aarch64 -plugin block_counter.so,out=FILE PROGRAM
 *
 * The guest marks with syscall(5000, tag), which no kernel has. FILE is text:
 *     b INDEX HEX HEX ...     a block, once, before it is first counted: the bytes of each instruction
 *     c INDEX N               it ran N times since the mark before
 *     m TAG                   the mark that the lines above lead up to
 *
 * The counters are not atomic: one thread. No header is needed, the functions below are the interface. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK_SYSCALL 5000
#define BUCKETS (1u << 16)
#define INLINE_ADD 0
#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t,
    uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

struct block {
    struct block *next;
    uint64_t address, runs, runs_at_mark;
    size_t index, length;          /* length of `text` */
    bool is_written;
    char text[];                   /* " HEX HEX ..." */
};

static struct block *buckets[BUCKETS];
static size_t block_count;
static FILE *out;

static char *hex_of(const struct qemu_plugin_tb *tb, size_t *length)
{
    size_t n = qemu_plugin_tb_n_insns(tb), room = 1;
    for (size_t i = 0; i < n; i++)
        room += 1 + 2 * qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i));
    char *text = malloc(room), *at = text;
    for (size_t i = 0; i < n; i++) {
        const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        *at++ = ' ';
        for (size_t j = 0; j < qemu_plugin_insn_size(insn); j++)
            at += sprintf(at, "%02x", bytes[j]);
    }
    *at = 0;
    *length = at - text;
    return text;
}

/* The same code at the same address is one block however often it is translated. */
static struct block *block_of(const struct qemu_plugin_tb *tb)
{
    size_t length;
    char *text = hex_of(tb, &length);
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    struct block **bucket = &buckets[(address >> 1) % BUCKETS], *found = *bucket;
    while (found && !(found->address == address && found->length == length && !memcmp(found->text, text, length)))
        found = found->next;
    if (!found) {
        found = calloc(1, sizeof *found + length + 1);
        found->address = address;
        found->index = block_count++;
        found->length = length;
        memcpy(found->text, text, length + 1);
        found->next = *bucket;
        *bucket = found;
    }
    free(text);
    return found;
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD, &block_of(tb)->runs, 1);
}

static void write_mark(uint64_t tag)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct block *b = buckets[i]; b; b = b->next) {
            uint64_t runs = b->runs - b->runs_at_mark;
            b->runs_at_mark = b->runs;
            if (!runs || !tag)     /* tag 0 only sets all counters to their start */
                continue;
            if (!b->is_written)
                fprintf(out, "b %zu%s\n", b->index, b->text);
            b->is_written = true;
            fprintf(out, "c %zu %llu\n", b->index, (unsigned long long)runs);
        }
    fprintf(out, "m %llu\n", (unsigned long long)tag);
    fflush(out);
}

static void on_syscall(plugin_id id, unsigned vcpu, int64_t number, uint64_t tag, uint64_t a2, uint64_t a3, uint64_t a4,
                       uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)vcpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == MARK_SYSCALL)
        write_mark(tag);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) || !(out = fopen(argv[0] + 4, "w"))) {
        fprintf(stderr, "block_counter: out=FILE is needed, and must be writable\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    return 0;
}
