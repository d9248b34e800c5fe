// A binary search tree: pointers followed through memory in no order a cache or a predictor could know.

#include "kernel.h"

#define NODES 65536
#define LOOKUPS 150000

struct node {
  struct node *left, *right;
  uint32_t key, hits;
};

static struct node *root;

static void insert(struct node *fresh) {
  struct node **place = &root;
  while (*place) place = fresh->key < (*place)->key ? &(*place)->left : &(*place)->right;
  *place = fresh;
}

static uint32_t walk(const struct node *node, uint32_t depth) {
  if (!node) return 0;
  return walk(node->left, depth + 1) + (node->hits ^ depth) + walk(node->right, depth + 1);
}

uint32_t tree_kernel(void) {
  struct node *nodes = (struct node *)arena;
  uint32_t state = 4;
  root = 0;
  for (int i = 0; i < NODES; i++) {
    nodes[i] = (struct node){0, 0, next_random(&state), 0};
    insert(&nodes[i]);
  }
  for (int i = 0; i < LOOKUPS; i++) {
    uint32_t key = nodes[next_random(&state) >> 16].key;
    struct node *at = root;
    while (at && at->key != key) at = key < at->key ? at->left : at->right;
    if (at) at->hits++;
  }
  return walk(root, 0);
}
