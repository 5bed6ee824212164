# Includes point down: a file may include its own room and the rooms below it.
# A room's name is the folder; what it may see is listed once, here.
BEGIN {
	may["broker/base"] = ""
	may["broker/wire"] = "broker/base"
	may["mappings/engine"] = "broker/base"
	may["broker/core"] = "broker/base broker/wire mappings/engine"
	may["broker/console"] = may["broker/core"] " broker/core"
	may["connectors/sdk"] = "broker/base broker/wire mappings/engine"
	bad = 0
}
function room(path,    n, part) {
	n = split(path, part, "/")
	return n > 2 ? part[1] "/" part[2] : part[1]
}
function sees(from, to,    n, i, list) {
	if (from == to || from == "broker" || from ~ /^tests/)
		return 1
	list = from in may ? may[from] : may["connectors/sdk"] " connectors/sdk"
	n = split(list, names, " ")
	for (i = 1; i <= n; i++)
		if (names[i] == to)
			return 1
	return 0
}
/^#include "/ {
	path = $2
	gsub(/"/, "", path)
	if (path !~ /^(broker|mappings|connectors|tests)\//) {
		printf "%s:%d: include \"%s\" by its path from the root\n", FILENAME, FNR, path
		bad = 1
	} else if (!sees(room(FILENAME), room(path))) {
		printf "%s:%d: %s may not include %s: includes point down\n", FILENAME, FNR, room(FILENAME), path
		bad = 1
	}
}
END { exit bad }
