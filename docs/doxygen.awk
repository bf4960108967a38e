# What Doxygen reads in place of a header (docs/Doxyfile). The head of sockeye.h becomes the first
# page, the blocks of a comment become paragraphs with a title, and each name goes to a group of
# docs/groups.dox. A name without a group is put in "ungrouped", of which Doxygen complains.

{ line[NR] = $0 }

END {
    if (FILENAME ~ /sockeye\.h$/) head()
    for (n = 1; n <= NR; n++) {
        if (line[n] ~ /^\/\/\// && line[n - 1] !~ /^\/\/\// && FILENAME ~ /sockeye\.h$/)
            print "/// @ingroup " group(called(n))
        print paragraph(line[n])
    }
}

# The first comment, as the main page: a word and spaces up to column 15 begin a titled paragraph.
function head(    n, titled, title)
{
    for (n = 1; line[n] != "/*"; n++);
    line[n] = "/** @mainpage"
    for (n++; line[n] !~ /^ \*\//; n++) {
        sub(/SOCKEYE [0-9.]+: a/, "A", line[n])
        if (line[n] ~ /^ \* [A-Z][A-Za-z]+  +[A-Za-z]/ && substr(line[n], 14, 1) == " ") {
            titled = 1
            title = line[n]
            sub(/^ \* /, "", title)
            sub(/ .*/, "", title)
            line[n] = " * @par " title "\n * " substr(line[n], 15)
        } else if (titled)
            sub(/^ \*            /, " * ", line[n])
    }
}

function paragraph(text,    at, title)
{
    if (text !~ /^ *\/\/\/ (Ownership|NULL|Threads|Returns|Since|Errors): /) return text
    at = index(text, "/// ")
    title = substr(text, at + 4)
    sub(/:.*/, "", title)
    sub(/\/\/\/ [A-Za-z]+: +/, "", text)
    return substr(text, 1, at - 1) "/// @par " title "\n" substr(text, 1, at - 1) "/// " \
           substr(text, at)
}

# What the comment that begins in line `n` is of.
function called(n,    text)
{
    while (line[n] ~ /^\/\/\/|^SOCKEYE_(API|MUST_USE)$/) n++
    text = line[n]
    if (text ~ /^typedef (struct|enum) \{/) {
        while (line[n] !~ /^\}/) n++
        text = line[n]
    }
    sub(/^#define /, "", text)
    sub(/^typedef struct [a-z_]+ /, "", text)
    sub(/^typedef int32_t /, "", text)
    sub(/SOCKEYE_API/, "", text)
    sub(/^ *sockeye_status /, "", text)
    gsub(/\(sockeye_conn conn\)/, "(", text)
    if (!match(text, /(sockeye|SOCKEYE)_[A-Za-z_]+/)) return "?"
    text = substr(text, RSTART, RLENGTH)
    return text
}

function group(name)
{
    if (name ~ /sockeye_fault/) return "faults"
    if (name ~ /sockeye_timer/) return "timers"
    if (name ~ /_stats|_info$|conns_get/ && name !~ /listener_|model/) return "facts"
    if (name ~ /^sockeye_listener_get_info$|^sockeye_listener_info$/) return "facts"
    if (name ~ /status|_text$|cause|version|last_error|ABI_VERSION/) return "words"
    if (name ~ /model/) return "models"
    if (name ~ /log/) return "log"
    if (name ~ /callback/) return "callbacks"
    if (name ~ /address|send_to|listener_(join|leave|get_stats|stats)|TRUNCATED/) return "datagrams"
    if (name ~ /message|MESSAGE|bytes/) return "messages"
    if (name ~ /buffer|event_hold/) return "buffers"
    if (name ~ /event|poll/) return "events"
    if (name ~ /wait_|post|flush$/) return "queues"
    if (name ~ /listen|connect$|endpoint|framing|overflow|QUEUE_SPREAD/) return "endpoints"
    if (name ~ /send|close|conn/) return "connections"
    if (name ~ /config|init|shutdown|free|discard|_net$|drive|flush_mode|WORKERS/) return "nets"
    return "ungrouped"
}
