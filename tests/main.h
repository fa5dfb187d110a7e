/* main.h - included before the source of each C test, whose main() bears the test's name then: all of them are one program (main.c). */
#ifndef VCC_TESTS_MAIN_H
#define VCC_TESTS_MAIN_H

int VCC_TEST(int argc, char **argv);
#define main(...) VCC_TEST(int argc __attribute__((unused)), char **argv __attribute__((unused)))

#endif
