"""The command line: parse, call one function, print. A module for each command.

In: arguments. Out: text, tables and exit codes. Begin with `main.main`, which finds the commands;
`console` has the options and the printing that several commands share.
"""
