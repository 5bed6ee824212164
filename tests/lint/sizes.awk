# No file over 900 lines, no function over 120. A function's body begins with
# "{" in the first column, as the house's format has it.
FNR == 1 { open = 0 }
FNR == 901 { printf "%s: over 900 lines; divide it\n", FILENAME; bad = 1 }
/^\{/ { open = FNR }
/^\}/ {
	if (open && FNR - open > 120) {
		printf "%s:%d: a function of %d lines; at most 120\n", FILENAME, open, FNR - open
		bad = 1
	}
	open = 0
}
END { exit bad }
