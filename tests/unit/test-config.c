/* SPDX-License-Identifier: Apache-2.0 */
/* config/: the options of run, the argument of -m, and what refusals say. */
#include "config.h"

#include "options.h"
#include "config-text.h"
#include "size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 32 };

struct parsed {
    int result;
    struct mv_config config;
    struct mv_error err;
};

/* Parse a command line whose words are separated by '|'. */
static struct parsed parse(const char *line)
{
    struct parsed p = {0};
    char *copy = strdup(line), *rest = copy;
    char *argv[WORDS_MAX];
    int argc = 0;
    while (line[0] != '\0' && rest != NULL) {
        assert_true(argc < WORDS_MAX);
        argv[argc++] = strsep(&rest, "|");
    }
    p.result = mv_config_parse_run(argc, argv, &p.config, &p.err);
    free(copy);
    return p;
}

static struct mv_config parse_good(const char *line)
{
    struct parsed p = parse(line);
    if (p.result != 0)
        fail_msg("'%s' is refused: %s", line, p.err.text);
    return p.config;
}

static void test_defaults(void **state)
{
    struct mv_config c = parse_good("-k|vmlinuz");
    assert_string_equal(c.kernel, "vmlinuz");
    assert_null(c.firmware);
    assert_null(c.initrd);
    assert_null(c.name);
    assert_null(c.dump_dtb);
    assert_string_equal(c.cmdline, "");
    assert_int_equal(c.cpus, 1);
    assert_int_equal(c.bank_count, 1);
    assert_int_equal(c.banks[0].size, 512 * MV_MIB);
    assert_false(c.banks[0].has_gpa);
    assert_string_equal(c.engine, "auto");
    assert_string_equal(c.machine, "arm64");
    assert_int_equal(c.serial, MV_SERIAL_STDIO);
    assert_false(c.paused);
    assert_false(c.no_reboot);
    mv_config_free(&c);
}

static void test_all_options(void **state)
{
    static const char *const spellings[] = {
        "-k|K|-i|I|-a|console=x y|-c|7|-n|guest|-m|1G|-m|2|--serial|file:/x|--engine|emulator|"
        "--machine|arm64|--dump-dtb|D|--paused|--no-reboot",
        "-kK|-iI|-aconsole=x y|-c7|-nguest|-m1G|-m2|--serial=file:/x|--engine=emulator|"
        "--machine=arm64|--dump-dtb=D|--paused|--no-reboot",
        "--kernel|K|--initrd|I|--append|console=x y|--cpus|7|--name|guest|--memory|1G|--mem=2|"
        "--serial=file:/x|--engine=emulator|--machine|arm64|--dump-dtb|D|--no-reboot|--paused",
        "--no-reboot|--paused|--kernel=K|--initrd=I|--cmdline=console=x y|--cpus=7|--name=guest|"
        "--memory=1G|--memory|2|--serial|file:/x|--engine|emulator|--machine|arm64|--dump-dtb=D",
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        struct mv_config c = parse_good(spellings[i]);
        assert_string_equal(c.kernel, "K");
        assert_string_equal(c.initrd, "I");
        assert_string_equal(c.cmdline, "console=x y");
        assert_int_equal(c.cpus, 7);
        assert_string_equal(c.name, "guest");
        assert_int_equal(c.bank_count, 2);
        assert_int_equal(c.banks[0].size, MV_GIB);
        assert_int_equal(c.banks[1].size, 2 * MV_MIB);
        assert_int_equal(c.serial, MV_SERIAL_FILE);
        assert_string_equal(c.serial_path, "/x");
        assert_string_equal(c.engine, "emulator");
        assert_string_equal(c.dump_dtb, "D");
        assert_true(c.paused);
        assert_true(c.no_reboot);
        mv_config_free(&c);
    }
}

static void test_other_values(void **state)
{
    struct mv_config c = parse_good("--firmware|F|-a|-x=1 --|--serial|unix:a:b|-c|64");
    assert_null(c.kernel);
    assert_string_equal(c.firmware, "F");
    assert_string_equal(c.cmdline, "-x=1 --");
    assert_int_equal(c.serial, MV_SERIAL_UNIX);
    assert_string_equal(c.serial_path, "a:b");
    assert_int_equal(c.cpus, 64);
    mv_config_free(&c);
    c = parse_good("-k|./-odd|-a||--serial|none");
    assert_string_equal(c.cmdline, "");
    assert_int_equal(c.serial, MV_SERIAL_NONE);
    mv_config_free(&c);
}

static void test_shared_memory_devices(void **state)
{
    struct mv_config c = parse_good("-k|K|--ivshmem|a/s=1,vectors=2048,addr=1f.0|--ivshmem|s|"
                                    "--ivshmem|mem=f,size=1M|--ivshmem|mem-id=ram1,addr=3");
    assert_int_equal(c.device_count, 4);
    assert_string_equal(c.devices[0].type, "ivshmem-doorbell");
    assert_string_equal(c.devices[0].socket, "a/s=1");
    assert_int_equal(c.devices[0].vectors, 2048);
    assert_int_equal(c.devices[0].slot, 31);
    assert_int_equal(c.devices[1].vectors, 1);
    assert_int_equal(c.devices[1].slot, -1);
    assert_string_equal(c.devices[2].type, "ivshmem-plain");
    assert_null(c.devices[2].socket);
    assert_null(c.devices[2].mem_id);
    assert_string_equal(c.devices[3].mem_id, "ram1");
    mv_config_free(&c);
}

static void test_many_banks(void **state)
{
    enum { COUNT = 500 };
    char texts[COUNT][32];
    char *argv[2 * COUNT + 2] = {"-k", "K"};
    for (int i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "16M@0x%x000000,id=b%d", 0x80 + i, i);
        argv[2 + 2 * i] = "-m";
        argv[3 + 2 * i] = texts[i];
    }
    struct mv_config c;
    struct mv_error err;
    assert_int_equal(mv_config_parse_run(2 * COUNT + 2, argv, &c, &err), 0);
    assert_int_equal(c.bank_count, COUNT);
    assert_int_equal(c.banks[COUNT - 1].gpa, (UINT64_C(0x80) + COUNT - 1) << 24);
    assert_string_equal(c.banks[COUNT - 1].id, "b499");
    mv_config_free(&c);
}

static void test_help(void **state)
{
    assert_int_equal(parse("-h").result, MV_OPTIONS_HELP);
    assert_int_equal(parse("--help").result, MV_OPTIONS_HELP);
    assert_int_equal(parse("-k|K|-m|1G|--help|--bogus").result, MV_OPTIONS_HELP);
    assert_int_equal(parse("-k|--help").result, -EINVAL);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *line;
        const char *parts[3];
    } cases[] = {
        {"", {"nothing to run", "-k FILE", "--firmware FILE"}},
        {"-i|x", {"nothing to run"}},
        {"-k|K|--firmware|F", {"-k and --firmware exclude each other"}},
        {"--kernal|K", {"unknown option '--kernal': did you mean --kernel?", "help run"}},
        {"--kernal=K", {"unknown option '--kernal':"}},
        {"--no-rebot", {"did you mean --no-reboot?"}},
        {"--comdline=x", {"did you mean --cmdline?"}},
        {"--xyzzyplugh", {"unknown option '--xyzzyplugh'", "'memvisor help run' lists"}},
        {"-Z", {"unknown option '-Z'", "help run"}},
        {"-kernel|K", {"'-kernel'", "--kernel, with two dashes"}},
        {"-append|x", {"--append, with two dashes"}},
        {"-k", {"-k needs a value: -k FILE"}},
        {"-k|-i|x", {"-k needs a value"}},
        {"-k|--initrd", {"-k needs a value"}},
        {"--kernel", {"--kernel needs a value: --kernel FILE"}},
        {"--kernel=", {"--kernel : the FILE is empty"}},
        {"-k|", {"the FILE is empty"}},
        {"-k|a|-k|b", {"-k is given twice, with 'a' and with 'b'"}},
        {"-k|a|--kernel=b", {"--kernel is given twice"}},
        {"-k|K|-c|2|--cpus|3", {"--cpus is given twice"}},
        {"-k|K|--serial|none|--serial|none", {"--serial is given twice"}},
        {"-k|K|-c|0", {"-c 0:", "from 1 to 64"}},
        {"-k|K|-c|65", {"-c 65:", "from 1 to 64"}},
        {"-k|K|-c|two", {"-c two:", "no number", "from 1 to 64"}},
        {"-k|K|-c|2x", {"-c 2x:", "no number"}},
        {"-k|K|--cpus=-1", {"no number"}},
        {"-k|K|-c|99999999999999999999999", {"from 1 to 64"}},
        {"-k|K|--paused=yes", {"--paused takes no value", "'yes'"}},
        {"vmlinuz", {"unexpected argument 'vmlinuz'", "help run"}},
        {"-k|K|--|x", {"unexpected argument '--'"}},
        {"-k|K|-", {"unexpected argument '-'"}},
        {"-k|K|--engine|tcg", {"--engine tcg:", "choose auto or emulator"}},
        {"-k|K|--engine|kvm", {"the engine 'kvm' is not in this version (" MV_VERSION ")"}},
        {"-k|K|--engine|auto,jit=on", {"'auto' has no keys", "emulator,jit=on"}},
        {"-k|K|--engine|emulator,", {"no key ''"}},
        {"-k|K|--engine|emulator,jot=on", {"no key 'jot=on'", "jit-cache="}},
        {"-k|K|--engine|emulator,jit=fast", {"jit=fast", "jit=on|off|1"}},
        {"-k|K|--engine|emulator,jit=2", {"jit=2 is not in this version"}},
        {"-k|K|--engine|emulator,jit-cache=4K", {"jit-cache=4K", "64K to 1G"}},
        {"-k|K|--engine|emulator,jit-cache=2G", {"jit-cache=2G", "64K to 1G"}},
        {"-k|K|--engine|emulator,jit-after=0", {"jit-after=0", "1 to 200"}},
        {"-k|K|--engine|emulator,jit-after=x", {"jit-after=x", "1 to 200"}},
        {"-k|K|--engine|emulator,jit-check=1", {"jit-check=1", "jit-check=on|off"}},
        {"-k|K|--machine|virt", {"--machine virt:", "choose arm64"}},
        {"-k|K|--machine|pc", {"the machine 'pc' is not in this version"}},
        {"-k|K|--serial|tcp:1", {"--serial tcp:1:", "stdio, none, file:PATH or unix:PATH"}},
        {"-k|K|--serial|file:", {"PATH"}},
        {"-k|K|--serial|stdio2", {"--serial stdio2:"}},
        {"-k|K|-n|a/b", {"-n a/b:", "'/'"}},
        {"-k|K|-n|", {"the name is empty"}},
        {"-k|K|-n|.", {"cannot have this name"}},
        {"-k|K|-n|..", {"cannot have this name"}},
        {"-k|K|--name=-x", {"cannot have this name"}},
        {"-k|K|-n|a\tb", {"control characters"}},
        {"-k|K|--back|ram0", {"--back ram0:", "ID=FILE"}},
        {"-k|K|--back", {"--back needs a value: --back ID=FILE"}},
        {"-k|K|--mem-dir=", {"the DIR is empty"}},
        {"-k|K|--pcram-file=", {"the PATH is empty"}},
        {"-k|K|--pcram-file|x|--pcram-file|y", {"--pcram-file is given twice"}},
        {"-k|K|--ivshmem|s,unix:x", {"--ivshmem s,unix:x:", "there is no key 'unix:x'", "vectors="}},
        {"-k|K|--ivshmem|", {"does not say whose memory it is"}},
        {"-k|K|--ivshmem|s,vectors=0", {"vectors=0 is no number of vectors", "1 to 2048"}},
        {"-k|K|--ivshmem|s,vectors=2049", {"vectors=2049 is no number of vectors"}},
        {"-k|K|--ivshmem|s,vectors=1x", {"vectors=1x is no number of vectors"}},
        {"-k|K|--ivshmem|s,vectors", {"vectors= is no number of vectors"}},
        {"-k|K|--ivshmem|size=1M", {"--ivshmem size=1M:", "mem=FILE,size=64M"}},
        {"-k|K|--ivshmem|mem-id=", {"mem-id= is empty"}},
        {"-k|K|--ivshmem|mem-id=ram1,size=1M", {"mem-id=ram1", "leave size="}},
        {"-k|K|--ivshmem|mem-id=ram1,mem=x", {"mem-id=ram1", "a bank's keys away"}},
        {"-k|K|--ivshmem|mem=x", {"--ivshmem mem=x:", "the size is missing"}},
        {"-k|K|--ivshmem|mem=x,size=1M,addr=20.0", {"addr=20.0 is no PCI slot", "00.0 to 1f.0"}},
        {"-k|K|--device|edu,addr=3.1", {"--device edu,addr=3.1:", "addr=3.1 is no PCI slot"}},
        {"-k|K|--device|edu,addr", {"addr= is no PCI slot"}},
        {"-k|K|--device|edu,x=1", {"there is no key 'x'", "dma_mask=MASK"}},
        {"-k|K|--device|edu,dma_mask=-1", {"dma_mask=-1 is no mask", "dma_mask=0xffffffff"}},
        {"-k|K|--device|edu,dma_mask", {"dma_mask= is no mask"}},
        {"-k|K|--device|edu,dma_mask=0x1ffffffffffffffff", {"0x1ffffffffffffffff is no mask"}},
        {"-k|K|--device|pcie-root-port,dma_mask=1", {"there is no key 'dma_mask'"}},
        {"-k|K|-m|256M@2048", {"-m 256M@2048:", "ambiguous"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct parsed p = parse(cases[i].line);
        if (p.result >= 0)
            fail_msg("'%s' is taken", cases[i].line);
        for (size_t k = 0; k < 3 && cases[i].parts[k] != NULL; k++) {
            if (strstr(p.err.text, cases[i].parts[k]) == NULL)
                fail_msg("'%s': '%s' lacks '%s'", cases[i].line, p.err.text, cases[i].parts[k]);
        }
    }
}

static void test_name_length(void **state)
{
    char line[600] = "-k|K|-n|";
    size_t start = strlen(line);
    memset(line + start, 'n', 255);
    struct mv_config c = parse_good(line);
    mv_config_free(&c);
    line[start + 255] = 'n';
    struct parsed p = parse(line);
    assert_int_equal(p.result, -EINVAL);
    assert_non_null(strstr(p.err.text, "at most 255"));
}

static void test_bank_texts(void **state)
{
    static const struct {
        const char *text;
        uint64_t size;
        bool has_gpa;
        uint64_t gpa;
        const char *id;
    } good[] = {
        {"256M", 256 * MV_MIB, false, 0, NULL},
        {"256", 256 * MV_MIB, false, 0, NULL},
        {"256M@2G", 256 * MV_MIB, true, 2 * MV_GIB, NULL},
        {"4k@0x88000000", 4096, true, 0x88000000, NULL},
        {"0@0x0", 0, true, 0, NULL},
        {"1G,id=low", MV_GIB, false, 0, "low"},
        {"1G@8G,id=a.b-c_d", MV_GIB, true, 8 * MV_GIB, "a.b-c_d"},
        {"1G@8G,id=x@y", MV_GIB, true, 8 * MV_GIB, "x@y"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct mv_config_bank bank;
        struct mv_error err;
        if (mv_config_parse_bank(good[i].text, &bank, &err) != 0)
            fail_msg("'%s': %s", good[i].text, err.text);
        assert_int_equal(bank.size, good[i].size);
        assert_int_equal(bank.has_gpa, good[i].has_gpa);
        assert_int_equal(bank.gpa, good[i].gpa);
        assert_string_equal(bank.text, good[i].text);
        if (good[i].id == NULL)
            assert_null(bank.id);
        else
            assert_string_equal(bank.id, good[i].id);
        mv_config_bank_clear(&bank);
    }
}

static void test_bank_refusals(void **state)
{
    static const struct {
        const char *text;
        int result;
        const char *part;
    } bad[] = {
        {"", -EINVAL, "no size"},
        {"@2G", -EINVAL, "no size"},
        {"256M@", -EINVAL, "no address"},
        {"256M@2G@3G", -EINVAL, "no address"},
        {"256M@2048", -EINVAL, "ambiguous"},
        {"256M@2147483648", -EINVAL, "0x80000000"},
        {"99999999T", -ERANGE, "too large"},
        {"1M@0x10000000000000000", -ERANGE, "too large"},
        {"256Q", -EINVAL, "no size"},
        {"0x1000@2G", -EINVAL, "hexadecimal"},
        {"256M,", -EINVAL, "no key ''"},
        {"256M,bogus=1", -EINVAL, "no key 'bogus'"},
        {"256M,shared=on", -EINVAL, "did you mean share=?"},
        {"256M,id", -EINVAL, "id=NAME"},
        {"256M,id=", -EINVAL, "empty"},
        {"256M,id=a/b", -EINVAL, "id 'a/b'"},
        {"256M,id=a b", -EINVAL, "id 'a b'"},
        {"256M,id=a,id=b", -EINVAL, "twice"},
        {"256M,id=..", -EINVAL, "id '..'"},
        {"256M,file", -EINVAL, "file=PATH"},
        {"256M,file=", -EINVAL, "file=PATH"},
        {"256M,file=a,file=b", -EINVAL, "twice"},
        {"256M,share=yes", -EINVAL, "share=on|off"},
        {"256M,create=on", -EINVAL, "file=PATH"},
        {"256M,same-file=ok", -EINVAL, "file=PATH"},
        {"256M,file=a,same-file=on", -EINVAL, "same-file=ok"},
        {"256M,file=a,memfd=on", -EINVAL, "exclude"},
        {"256M,file=a,fd=3", -EINVAL, "exclude"},
        {"256M,memfd=on,fd=3", -EINVAL, "exclude"},
        {"256M,memfd=on,share=off", -EINVAL, "exclude"},
        {"256M,fd=-1", -EINVAL, "no descriptor"},
        {"256M,fd=4294967296", -EINVAL, "no descriptor"},
        {"256M,fd=3x", -EINVAL, "no descriptor"},
        {"256M,hugetlb=4M", -EINVAL, "2M|1G"},
        {"256M,policy=bond,host-nodes=0", -EINVAL, "default|bind|interleave|preferred"},
        {"256M,policy=bind", -EINVAL, "policy=bind needs nodes: add host-nodes=0"},
        {"256M,host-nodes=0", -EINVAL, "host-nodes=0 needs a policy: add policy=bind"},
        {"256M,policy=default,host-nodes=0", -EINVAL, "policy=default and host-nodes= exclude"},
        {"256M,policy=bind,host-nodes=0,2", -EINVAL, "written twice, as in host-nodes=0,,2"},
        {"256M,policy=bind,host-nodes=one", -EINVAL, "no list of nodes: write 0, 0-1 or 0,,2"},
        {"256M,policy=bind,host-nodes=-1", -EINVAL, "no list of nodes"},
        {"256M,policy=bind,host-nodes=0-", -EINVAL, "no list of nodes"},
        {"256M,policy=bind,host-nodes=1-0", -EINVAL, "no list of nodes"},
        {"256M,policy=bind,host-nodes=0,,", -EINVAL, "no list of nodes"},
        {"256M,policy=bind,host-nodes=0-1-2", -EINVAL, "no list of nodes"},
        {"256M,policy=bind,host-nodes=4294967296", -EINVAL, "no list of nodes"},
        {"256M,policy=bind,host-nodes=+0", -EINVAL, "no list of nodes"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mv_config_bank bank;
        struct mv_error err = {""};
        memset(&bank, 0x5a, sizeof bank);
        struct mv_config_bank before = bank;
        assert_int_equal(mv_config_parse_bank(bad[i].text, &bank, &err), bad[i].result);
        assert_memory_equal(&bank, &before, sizeof bank);
        if (strstr(err.text, bad[i].part) == NULL)
            fail_msg("'%s': '%s' lacks '%s'", bad[i].text, err.text, bad[i].part);
    }
}

static void test_backings(void **state)
{
    struct mv_config_bank bank;
    struct mv_error err = {""};
    assert_int_equal(
        mv_config_parse_bank("1G@2G,file=a,,b=c,share=off,create=on,same-file=ok", &bank, &err), 0);
    assert_string_equal(bank.backing.file, "a,b=c");
    assert_int_equal(bank.backing.share, MV_SWITCH_OFF);
    assert_true(bank.backing.create && bank.backing.same_file);
    assert_false(bank.backing.memfd || bank.backing.has_fd);
    mv_config_bank_clear(&bank);
    assert_int_equal(mv_config_parse_bank("1G,fd=0,share=on", &bank, &err), 0);
    assert_true(bank.backing.has_fd);
    assert_int_equal(bank.backing.fd, 0);
    mv_config_bank_clear(&bank);
    assert_int_equal(mv_config_parse_bank("2G,hugetlb=1g", &bank, &err), 0);
    assert_int_equal(bank.backing.hugetlb, MV_GIB);
    mv_config_bank_clear(&bank);
    assert_int_equal(
        mv_config_parse_bank("1G,policy=interleave,host-nodes=0-1,,3,save=off", &bank, &err), 0);
    assert_string_equal(bank.backing.policy, "interleave");
    assert_string_equal(bank.backing.host_nodes, "0-1,3");
    assert_int_equal(bank.backing.save, MV_SWITCH_OFF);
    mv_config_bank_clear(&bank);
}

static void test_back_texts(void **state)
{
    struct mv_config_back back;
    struct mv_error err = {""};
    assert_int_equal(mv_config_parse_back("pci/03.0/bar2=x=y,,z,share=off", &back, &err), 0);
    assert_string_equal(back.id, "pci/03.0/bar2");
    assert_string_equal(back.backing.file, "x=y,z");
    assert_int_equal(back.backing.share, MV_SWITCH_OFF);
    assert_string_equal(back.text, "pci/03.0/bar2=x=y,,z,share=off");
    mv_config_back_clear(&back);

    static const struct {
        const char *text, *part;
    } bad[] = {
        {"", "ID=FILE"},
        {"ram0", "ID=FILE"},
        {"ram0=", "ID=FILE"},
        {"=x", "ID=FILE"},
        {"ram0=x,shar=on", "did you mean share=?"},
        {"ram0=x,file=y", "no key 'file'"},
        {"ram0=x,share=maybe", "share=on|off"},
        {"ram0=x,fd=3", "exclude"},
        {"ram0=x,share=on,share=on", "twice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mv_config_parse_back(bad[i].text, &back, &err), -EINVAL);
        if (strstr(err.text, bad[i].part) == NULL)
            fail_msg("'%s': '%s' lacks '%s'", bad[i].text, err.text, bad[i].part);
    }
}

/* Every row can be shown and parsed: a help text or a purpose, no name twice. */
static void test_table_is_sound(void **state)
{
    const struct mv_option_table *t = &mv_run_options;
    for (size_t i = 0; i < t->count; i++) {
        const struct mv_option *o = &t->options[i];
        assert_true((o->later == NULL) == (o->help != NULL));
        assert_true((o->later == NULL) == (o->set != NULL));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(o->name, t->options[k].name);
            if (o->letter != '\0')
                assert_int_not_equal(o->letter, t->options[k].letter);
        }
    }
}

static const char *nearest(const char *word, const char *const *candidates)
{
    struct mv_suggestion s;
    mv_suggestion_init(&s, word);
    for (; *candidates != NULL; candidates++)
        mv_suggestion_offer(&s, *candidates);
    return s.nearest;
}

static void test_suggestions(void **state)
{
    static const char *const verbs[] = {"run", "stop", "status", "quit", "engines", NULL};
    assert_string_equal(nearest("rum", verbs), "run");
    assert_string_equal(nearest("rnu", verbs), "run");
    assert_string_equal(nearest("engine", verbs), "engines");
    assert_string_equal(nearest("egnines", verbs), "engines");
    assert_string_equal(nearest("stpo", verbs), "stop");
    assert_null(nearest("x", verbs));
    assert_null(nearest("", verbs));
    assert_null(nearest("launch", verbs));
    assert_null(nearest("a-very-long-word-that-nobody-can-have-meant-as-an-option", verbs));
}

/* Rows that several verbs have are told from one another as those of one table are. */
static void test_shared_options(void **state)
{
    char *words[] = {"tcp::1",     "-n", "vm", "--tls",  "psk=f",      "-m",
                     "64M,id=low", "-c", "2",  "--json", "--insecure", "--paused"};
    char *twice[] = {"tcp::1", "-n", "a", "--name", "b"};
    char *near[] = {"tcp::1", "--pausd"};
    struct mv_config_receive receive;
    struct mv_error err;
    assert_int_equal(mv_config_parse_receive(sizeof words / sizeof words[0], words, &receive, &err),
                     0);
    const struct mv_config *config = &receive.restore.config;
    assert_string_equal(receive.uri, "tcp::1");
    assert_string_equal(receive.tls, "psk=f");
    assert_string_equal(config->name, "vm");
    assert_string_equal(config->banks[0].id, "low");
    assert_int_equal(config->cpus, 2);
    assert_true(receive.json && receive.insecure && config->paused);
    assert_null(receive.restore.file);
    mv_config_receive_free(&receive);

    assert_int_equal(mv_config_parse_receive(5, twice, &receive, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--name is given twice, with 'a' and with 'b'"));
    assert_int_equal(mv_config_parse_receive(2, near, &receive, &err), -EINVAL);
    assert_non_null(strstr(err.text, "did you mean --paused?"));
    assert_int_equal(mv_config_parse_receive(0, NULL, &receive, &err), -EINVAL);
    assert_non_null(strstr(err.text, "URI is missing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_options),
        cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_shared_memory_devices),
        cmocka_unit_test(test_many_banks),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_name_length),
        cmocka_unit_test(test_bank_texts),
        cmocka_unit_test(test_bank_refusals),
        cmocka_unit_test(test_backings),
        cmocka_unit_test(test_back_texts),
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_shared_options),
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
