# What Doxygen reads in place of a header (docs/Doxyfile). The head of sockeye.h becomes the first
# page, the blocks of a comment become paragraphs with a title, and each name goes to the group of
# its file in src/capi, by docs/groups.awk, which is read first. A name that has none is put in
# "ungrouped", of which Doxygen complains.

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

# What the comment that begins in line `n` is of: what is called, the name behind a closing brace, or
# the last one.
function called(n,    text)
{
    while (line[n] ~ /^\/\/\/|^SOCKEYE_(API|MUST_USE)$/) n++
    text = line[n]
    if (text ~ /^typedef (struct|enum)( [a-z0-9_]+)? \{/) {
        while (line[n] !~ /^\}/) n++
        text = line[n]
    }
    if (text ~ /^#define /) sub(/^#define /, "", text)
    else if (match(text, /\(\*sockeye_[a-z0-9_]+/)) return substr(text, RSTART + 2, RLENGTH - 2)
    else if (match(text, /sockeye_[a-z0-9_]+\(/)) return substr(text, RSTART, RLENGTH - 1)
    else sub(/^.* /, "", text)
    if (!match(text, /(sockeye|SOCKEYE)_[A-Za-z0-9_]+/)) return "?"
    return substr(text, RSTART, RLENGTH)
}

function group(name)
{
    return name in place ? place[name] : "ungrouped"
}
